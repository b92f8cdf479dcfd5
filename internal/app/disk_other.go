//go:build !linux && !darwin && !freebsd

package app

import "errors"

func spaceOf(string) (free, size uint64, err error) { return 0, 0, errors.ErrUnsupported }
