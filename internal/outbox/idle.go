package outbox

import "context"

// Idle returns once nothing that was handed over or claimed here waits for its
// delivery or is being delivered. What is delayed waits for its time and does
// not count. It returns ctx's error if that ends first.
func (o *Outbox) Idle(ctx context.Context) error {
	return o.await(ctx, func() bool { return o.flight.Load() == 0 })
}

// Written is Idle, and the store has taken what became of everything delivered.
func (o *Outbox) Written(ctx context.Context) error {
	return o.await(ctx, func() bool { return o.flight.Load() == 0 && o.unwritten.Load() == 0 })
}

// await returns once holds, which is asked with o.mu held whenever something has come to an end.
func (o *Outbox) await(ctx context.Context, holds func() bool) error {
	for {
		o.mu.Lock()
		if holds() {
			o.mu.Unlock()
			return nil
		}
		if o.calm == nil {
			o.calm = make(chan struct{})
		}
		calm := o.calm
		o.mu.Unlock()
		select {
		case <-calm:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// landed counts one message out, and lets those who wait look again. It returns how many
// the lane has left.
func (o *Outbox) landed(l *lane) int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flight.Add(-1)
	o.tell()
	return l.flight.Add(-1)
}

// tell wakes everybody in await; o.mu is held.
func (o *Outbox) tell() {
	if o.calm != nil {
		close(o.calm)
		o.calm = nil
	}
}
