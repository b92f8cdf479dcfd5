package outbox

import (
	"context"
	"time"
)

const (
	// settleWait is how long a success waits for others to be written down with.
	// The store may let the batch wait for other writes still; a crash meanwhile
	// repeats the mail.
	settleWait  = 2 * time.Millisecond
	settleRetry = time.Second
	settleBatch = 256
)

// settle writes what became of messages, all that finished meanwhile in one
// transaction.
func (o *Outbox) settle() {
	run := o.watch("outcomes", 0)
	for m := range o.settled {
		batch := o.gather(m)
		o.write(batch, run)
		o.mu.Lock()
		o.unwritten.Add(int64(-len(batch)))
		o.tell()
		o.mu.Unlock()
	}
}

// gather collects what has finished. Success waits a little for company; anything
// else does not, because a page is waiting to tell it (decision D28).
func (o *Outbox) gather(first Message) []Message {
	batch := []Message{first}
	timer := time.NewTimer(settleWait)
	defer timer.Stop()
	patient := first.Status == Sent
	for len(batch) < settleBatch {
		var m Message
		ok := true
		if patient {
			select {
			case m, ok = <-o.settled:
			case <-timer.C:
				return batch
			case <-o.stopping.Done():
				return batch
			}
		} else {
			select {
			case m, ok = <-o.settled:
			default:
				return batch
			}
		}
		if !ok {
			return batch
		}
		batch = append(batch, m)
		patient = patient && m.Status == Sent
	}
	return batch
}

// write keeps trying until the store takes the batch: an effect that happened
// and is not recorded would happen again.
func (o *Outbox) write(batch []Message, run func(work func() error) error) {
	for {
		err := run(func() error { return o.store.SettleOutbox(o.aborted, batch) })
		if err == nil {
			break
		}
		if o.aborted.Err() != nil {
			o.lastWrite(batch)
			return
		}
		o.log.Error("outbox: settle", "messages", len(batch), "error", err)
		select {
		case <-time.After(settleRetry):
		case <-o.aborted.Done():
		}
	}
	for _, m := range batch {
		switch {
		case m.ended():
			o.open.Add(-1)
		case m.Status == Delayed:
			o.due(m.NotBefore)
		}
	}
}

// lastWrite is the one try that is left after Stop has run out of patience.
func (o *Outbox) lastWrite(batch []Message) {
	ctx, cancel := context.WithTimeout(context.Background(), settleRetry)
	defer cancel()
	if err := o.store.SettleOutbox(ctx, batch); err != nil {
		o.log.Warn("outbox: not settled, leases run out by themselves", "messages", len(batch), "error", err)
	}
}
