package schema

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
)

// A Step is one migration, forward or back.
type Step struct {
	Version int64  // of the migration
	Name    string // of its file
	Back    bool
}

func (s Step) String() string {
	if s.Back {
		return fmt.Sprintf("version %d -> %d: back from %s", s.Version, s.Version-1, s.Name)
	}
	return fmt.Sprintf("version %d -> %d: %s", s.Version-1, s.Version, s.Name)
}

// Plan returns the version that the database has, and the steps from there to a
// version; 0 is this program's. It changes nothing. Back goes one step only, and
// only where nothing is lost that must not be and nobody waits for long. Where a
// program could not go on that has the database open, there is no way either.
func (s *Schema) Plan(ctx context.Context, to int64) (have int64, steps []Step, err error) {
	have, want, p, err := s.versions(ctx)
	if err != nil {
		return 0, nil, err
	}
	if to == 0 {
		to = want
	}
	switch {
	case have > want:
		return 0, nil, fmt.Errorf("the database has schema version %d, this program knows %d: use a newer one", have, want)
	case to < 0 || to > want:
		return 0, nil, fmt.Errorf("there is no schema version %d: this program knows 1 to %d", to, want)
	case to < have-1:
		return 0, nil, fmt.Errorf("the database has schema version %d: back goes one step at a time, to %d", have, have-1)
	}
	for _, source := range p.ListSources() {
		name := path.Base(source.Path)
		switch v := source.Version; {
		case v > have && v <= to:
			steps = append(steps, Step{Version: v, Name: name})
		case v > to && v <= have:
			text, err := fs.ReadFile(s.Migrations, name)
			if err != nil {
				return 0, nil, fmt.Errorf("migrations: %w", err)
			}
			if !bytes.Contains(text, []byte("-- +goose Down")) { // goose would take it for an empty one
				return 0, nil, fmt.Errorf("there is no way back from schema version %d: what it keeps must not be lost; restore a backup instead", v)
			}
			if s.Back != nil {
				if err := s.Back(ctx, v); err != nil {
					return 0, nil, err
				}
			}
			steps = append(steps, Step{Version: v, Name: name, Back: true})
		}
	}
	if err := s.strands(ctx, have, to); err != nil {
		return 0, nil, err
	}
	return have, steps, nil
}

// endsWithin is how long the server may take to end what a node had open that stopped.
const endsWithin = 2 * time.Second

// strands returns why programs that have the database open, and work on it, could not
// go on with another version.
func (s *Schema) strands(ctx context.Context, from, to int64) (err error) {
	if s.Connected == nil || from == to {
		return nil
	}
	for end := time.Now().Add(endsWithin); ; {
		if err = s.stranded(ctx, from, to); err == nil || time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(endsWithin / 20):
		}
	}
}

// stranded is strands at this moment.
func (s *Schema) stranded(ctx context.Context, from, to int64) error {
	all, err := s.Connected(ctx)
	if err != nil {
		return fmt.Errorf("connected nodes: %w", err)
	}
	var names []string
	for _, p := range all {
		if p.worksOn(from) && !p.worksOn(to) {
			names = append(names, p.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("nodes are connected that do not work on schema version %d: %s; replace or stop them first, "+
		"or, if they run no more, use stile migrate --despite-nodes", to, strings.Join(names, ", "))
}

// Apply carries out what Plan returns, and tells of each step once it is
// committed. A step is one transaction: whoever is interrupted has done all of
// it or nothing, and can begin again.
func (s *Schema) Apply(ctx context.Context, to int64, done func(Step)) error {
	_, steps, err := s.Plan(ctx, to)
	if err != nil || len(steps) == 0 {
		return err
	}
	p, err := s.provider()
	if err != nil {
		return err
	}
	for _, step := range steps {
		if step.Back {
			err = s.back(ctx, p, step.Version)
		} else {
			err = s.to(ctx, p, step.Version)
		}
		if err != nil {
			return err
		}
		done(step)
	}
	return nil
}

// back takes the step back from a version.
func (s *Schema) back(ctx context.Context, p *goose.Provider, version int64) error {
	err := s.step(func() error {
		_, err := p.DownTo(ctx, version-1) // not "one down": somebody else may have gone there meanwhile
		return err
	})
	if err != nil && s.Back != nil { // what has come since the plan may be why
		err = errors.Join(s.Back(ctx, version), err)
	}
	return err
}

// to goes forward.
func (s *Schema) to(ctx context.Context, p *goose.Provider, version int64) error {
	return s.step(func() error {
		_, err := p.UpTo(ctx, version)
		return err
	})
}

// heldTries is how often a step is tried that waits for a table: each time only
// for as long as others may be kept waiting behind it.
const heldTries = 5

func (s *Schema) step(run func() error) (err error) {
	for range heldTries {
		if err = run(); err == nil || s.Held == nil || !s.Held(err) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}
