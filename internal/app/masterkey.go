package app

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/stile-id/stile/internal/keyring"
)

// masterKey makes the data folder and reads the master key. Where there is none
// it makes one, unless it must exist. Others than the owner must not be able to
// read it (SEC S-142).
func masterKey(c Config) ([]byte, error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	file := keyFile(c.Dir, c.MasterKeyFile)
	key, err := readMasterKey(file)
	if errors.Is(err, fs.ErrNotExist) && !c.KeyMustExist {
		return newMasterKey(file)
	}
	return key, err
}

// keyFile is the named file or, if none is, the one in the data folder.
func keyFile(dir, named string) string {
	if named != "" {
		return named
	}
	return filepath.Join(dir, "master.key")
}

func readMasterKey(file string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("master key: others can read %s; run: chmod 600 %s", file, file)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != keyring.MasterSize {
		return nil, fmt.Errorf("master key: %s does not hold %d bytes in base64", file, keyring.MasterSize)
	}
	return key, nil
}

// newMasterKey writes a new key under another name first: a crash half-way must
// not leave a cut one. Of two processes that start at once one wins.
func newMasterKey(file string) ([]byte, error) {
	key := keyring.Generate()
	tmp, err := os.CreateTemp(filepath.Dir(file), ".master-*")
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.WriteString(base64.StdEncoding.EncodeToString(key) + "\n")
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	err = os.Link(tmp.Name(), file) // fails where the file exists, as rename would not
	if errors.Is(err, fs.ErrExist) {
		return readMasterKey(file)
	}
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	return key, nil
}
