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

// masterKey reads the master key of a data folder, or makes one with the folder
// at the first start. Others than the owner must not be able to read it (SEC S-142).
func masterKey(dir string) ([]byte, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	file := filepath.Join(dir, masterKeyFile)
	key, err := readMasterKey(file)
	if errors.Is(err, fs.ErrNotExist) {
		return newMasterKey(file)
	}
	return key, err
}

const masterKeyFile = "master.key"

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
		return masterKey(filepath.Dir(file))
	}
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	return key, nil
}
