package app

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"time"
)

// What systemd may be told (sd_notify(3)).
const (
	serviceReady    = "READY=1"
	serviceStopping = "STOPPING=1"
)

// tellSystemd tells systemd of the state of its service, if it started this process and
// waits for that: NOTIFY_SOCKET names a socket, which is an abstract one after "@".
func tellSystemd(log *slog.Logger, state string) {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return
	}
	if err := notify(name, state); err != nil {
		log.Warn("systemd is not told", "state", state, "error", err)
	}
}

func notify(socket, state string) error {
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	if err = c.SetWriteDeadline(time.Now().Add(time.Second)); err == nil { // a full queue must not hold up the stop
		_, err = c.Write([]byte(state))
	}
	return errors.Join(err, c.Close())
}
