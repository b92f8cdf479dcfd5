//go:build !unix

package pgtest

import "os/exec"

func unprivileged(*exec.Cmd, string) error { return errAbsent }
