package mail

import "strings"

// agentLimit is how much of a User-Agent header is looked at.
const agentLimit = 512

// A mark is a token of a User-Agent header and what it tells. Order matters:
// nearly every browser also claims to be those it descends from.
type mark struct{ token, name string }

var browserMarks = []mark{
	{"Edg/", "Edge"}, {"EdgA/", "Edge"}, {"EdgiOS/", "Edge"}, {"Edge/", "Edge"},
	{"OPR/", "Opera"}, {"OPiOS/", "Opera"}, {"Opera", "Opera"},
	{"SamsungBrowser/", "Samsung Internet"},
	{"Vivaldi/", "Vivaldi"},
	{"YaBrowser/", "Yandex Browser"},
	{"DuckDuckGo/", "DuckDuckGo"}, {"Ddg/", "DuckDuckGo"},
	{"FxiOS/", "Firefox"}, {"Firefox/", "Firefox"},
	{"CriOS/", "Chrome"}, {"Chromium/", "Chromium"}, {"HeadlessChrome/", "Chrome"}, {"Chrome/", "Chrome"},
	{"MSIE ", "Internet Explorer"}, {"Trident/", "Internet Explorer"},
	{"Safari/", "Safari"},
}

var systemMarks = []mark{
	{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"iPod", "iPod"},
	{"Android", "Android"},
	{"Windows Phone", "Windows Phone"}, {"Windows", "Windows"},
	{"CrOS", "ChromeOS"},
	{"Macintosh", "macOS"}, {"Mac OS X", "macOS"},
	{"FreeBSD", "FreeBSD"}, {"OpenBSD", "OpenBSD"},
	{"Linux", "Linux"}, {"X11", "Linux"},
}

// ParseUserAgent names the browser and the system of a User-Agent header in a
// person's words ("Chrome", "Windows"); both are from a fixed list or empty, so
// nothing that a client makes up gets into a mail.
func ParseUserAgent(ua string) (browser, os string) {
	if len(ua) > agentLimit {
		ua = ua[:agentLimit]
	}
	return find(ua, browserMarks), find(ua, systemMarks)
}

func find(s string, marks []mark) string {
	for _, m := range marks {
		if strings.Contains(s, m.token) {
			return m.name
		}
	}
	return ""
}
