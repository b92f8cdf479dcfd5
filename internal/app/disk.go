package app

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/stile-id/stile/internal/metrics"
)

// A disk tells how full the file system is on which the engine writes: its database's,
// where that is SQLite. A server of databases watches its own.
type disk struct {
	space func() (free, size uint64, err error)
	log   *slog.Logger
	level level
	told  time.Time
}

// A level is how urgent it is that somebody makes room (REL R-14).
type level int

const (
	roomy    level = iota
	low            // less than a tenth is free
	critical       // less than a fiftieth
)

const (
	diskEvery = 30 * time.Second
	// tellAgain is after how long somebody who has not heard is told again.
	tellAgain = time.Hour
)

// newDisk watches a directory; nil where the system does not tell.
func newDisk(dir string, log *slog.Logger) *disk {
	d := &disk{space: func() (uint64, uint64, error) { return spaceOf(dir) }, log: log}
	if _, _, err := d.space(); errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return d
}

func (d *disk) run(ctx context.Context, run watched) {
	tick := time.NewTicker(diskEvery)
	defer tick.Stop()
	for {
		_ = run(func() error { return d.look(time.Now()) }) // which has been said
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look tells the log when the level has changed, and every now and then while it is
// not well.
func (d *disk) look(now time.Time) error {
	free, size, err := d.space()
	if err != nil || size == 0 {
		d.log.Warn("how full the disk is cannot be told", "error", err)
		return err
	}
	is := roomy
	switch {
	case free < size/50:
		is = critical
	case free < size/10:
		is = low
	}
	if is == d.level && (is == roomy || now.Sub(d.told) < tellAgain) {
		return nil
	}
	d.level, d.told = is, now
	about := []any{"free_bytes", free, "size_bytes", size}
	switch is {
	case critical:
		d.log.Error("the disk is almost full: once it is, nothing more is written", about...)
	case low:
		d.log.Warn("less than a tenth of the disk is free", about...)
	default:
		d.log.Info("there is room on the disk again", about...)
	}
	return nil
}

// metric is what the metrics tell of it.
func (d *disk) metric() metrics.Disk {
	if d == nil {
		return nil
	}
	return func() (free, size uint64, err error) { return d.space() }
}
