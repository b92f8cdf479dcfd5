package app

import (
	"log/slog"
	"runtime/debug"
)

// settle gives back what only the start had a use for: its garbage, for which the
// collector would wait long (CollectSeldom), and the pages of the program's file that
// it read. Later requests find those in the system's cache of files.
func settle(log *slog.Logger) {
	debug.FreeOSMemory()
	if err := releaseProgram(); err != nil {
		log.Debug("pages of the program's file stay in memory", "err", err)
	}
}
