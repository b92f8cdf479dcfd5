package app

import "runtime/debug"

// Version is the module's version, with the commit where it was built from one.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "stile (unknown version)"
	}
	v := "stile " + info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			v += " " + s.Value[:12]
		}
	}
	return v + " " + info.GoVersion
}
