package outbox

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stile-id/stile/internal/keyring"
	"github.com/stile-id/stile/internal/problem"
)

// Store is what the outbox needs of the storage port.
type Store interface {
	// ClaimOutbox leases up to limit due messages of a kind; Fence is already counted up.
	ClaimOutbox(ctx context.Context, kind string, now, leaseUntil time.Time, limit int) ([]Message, error)

	// SettleOutbox writes status, attempts, error, not-before, payload and lease
	// of all messages in one transaction, of relaxed durability. Those whose
	// stored Fence is another are left as they are, without error: they belong
	// to whoever leased them since.
	SettleOutbox(ctx context.Context, messages []Message) error

	// OutboxWaiting counts the messages of all kinds and nodes that are still to be
	// delivered at now, and tells when the oldest was made.
	OutboxWaiting(ctx context.Context, now time.Time) (n int64, oldest time.Time, err error)
}

const (
	// Lease is how long a message belongs to whoever claimed it. Deliveries are
	// broken off leaseMargin before its end, so that what became of them is
	// written while nobody else may hold the message.
	Lease       = 60 * time.Second
	leaseMargin = 5 * time.Second

	// minLife is what a code must have left to live to be worth sending (REL R-07).
	minLife = 60 * time.Second

	claimEvery = 5 * time.Second
	// countShare is the part of the time that counting may take: a full table has
	// many rows to look at.
	countShare = 20
	queueSize  = 1024
	purpose    = "outbox/payload"
)

// Config is what an Outbox is made of.
type Config struct {
	Store   Store
	Keyring *keyring.Keyring
	Deliver map[string]Deliverer // by kind
	Now     func() time.Time     // default time.Now
	Logger  *slog.Logger         // default: none
	Workers int                  // of each kind, default 4
	Crews   map[string]int       // workers of kinds that have another number of them
	// Observe is told how a message stands after each try: sent, delayed, refused,
	// expired; nil: nobody.
	Observe func(kind string, s Status)
	// Watch is told of a worker as it begins, and of how often it has something to do, 0:
	// when something comes. It runs each piece of work through what is returned, so
	// that one that hangs is seen. nil: nobody watches.
	Watch func(worker string, every time.Duration) func(work func() error) error
	// NewID makes the id of a message that is made then; nil: at random.
	NewID   func(at time.Time) string
	MaxOpen int // messages not yet delivered, of all nodes, default 100,000; Prepare refuses beyond (REL R-08)
}

// An Outbox is safe for concurrent use.
type Outbox struct {
	store   Store
	keys    *keyring.Keyring
	lanes   map[string]*lane
	now     func() time.Time
	log     *slog.Logger
	maxOpen int64
	observe func(kind string, s Status)
	watch   func(worker string, every time.Duration) func(work func() error) error
	newID   func(at time.Time) string

	settled chan Message
	wake    chan struct{} // look for due messages now
	rearm   chan struct{} // nextDue has changed
	flight  atomic.Int64  // queued or being delivered here
	// unwritten counts messages whose outcome the store has not taken yet.
	unwritten atomic.Int64
	// open is how many messages the store has that are still to be delivered: as many as
	// were counted last, and what this process has added and ended since.
	open    atomic.Int64
	counted atomic.Pointer[counted]

	mu      sync.Mutex
	calm    chan struct{} // closed when flight is 0 again; nil while nobody waits
	nextDue time.Time     // when a message that is known here is due again

	start     sync.Once
	stop      context.CancelFunc // no new work
	stopping  context.Context
	abort     context.CancelFunc // nor work under way
	aborted   context.Context
	fetchers  sync.WaitGroup
	carriers  sync.WaitGroup
	settlers  sync.WaitGroup
	stopOnce  sync.Once
	stopError error
}

// A lane is where messages of one kind go. It has a queue and workers of its own, so
// that no kind whose other side hangs holds up another.
type lane struct {
	Deliverer
	breaker Breaker
	workers int
	queue   chan Message
	flight  atomic.Int64 // of its messages
	more    atomic.Bool  // the last claim was full
}

// New returns an outbox that delivers nothing before Start.
func New(c Config) *Outbox {
	o := &Outbox{
		store: c.Store, keys: c.Keyring, lanes: map[string]*lane{}, now: c.Now, log: c.Logger,
		maxOpen: int64(c.MaxOpen), observe: c.Observe, watch: c.Watch, newID: c.NewID,
		settled: make(chan Message, settleBatch), wake: make(chan struct{}, 1), rearm: make(chan struct{}, 1),
	}
	for kind, d := range c.Deliver {
		workers := cmp.Or(c.Crews[kind], c.Workers, 4)
		o.lanes[kind] = &lane{Deliverer: d, workers: workers, queue: make(chan Message, queueSize)}
	}
	if o.now == nil {
		o.now = time.Now
	}
	if o.log == nil {
		o.log = slog.New(slog.DiscardHandler)
	}
	if o.newID == nil {
		o.newID = func(time.Time) string { return "msg" + rand.Text() }
	}
	if o.observe == nil {
		o.observe = func(string, Status) {}
	}
	if o.watch == nil {
		o.watch = func(string, time.Duration) func(func() error) error {
			return func(work func() error) error { return work() }
		}
	}
	if o.maxOpen <= 0 {
		o.maxOpen = 100_000
	}
	o.stopping, o.stop = context.WithCancel(context.Background())
	o.aborted, o.abort = context.WithCancel(context.Background())
	return o
}

// Prepare makes a message of a payload that marshals to JSON. It is leased to
// this process already, so that no second commit is needed to claim it: the
// caller writes it in the transaction of the state that it belongs to, and calls
// Handoff once that is committed. A caller that dies in between loses nothing:
// the lease runs out. It returns a refusal of kind Unavailable while too many
// messages wait to be delivered, by a count that may be ten seconds old.
func (o *Outbox) Prepare(kind string, payload any, now, expires time.Time) (Message, error) {
	return o.PrepareAs(o.newID(now), kind, payload, now, expires)
}

// PrepareAs is Prepare with an id of the caller's: while a message of that id is
// kept, another cannot be written, so that one id is sent once.
func (o *Outbox) PrepareAs(id, kind string, payload any, now, expires time.Time) (Message, error) {
	if o.open.Load() >= o.maxOpen {
		return Message{}, &problem.Error{
			Kind: problem.Unavailable, Detail: "too many messages are waiting to be sent", RetryAfter: breakerProbe,
		}
	}
	data, err := json.Marshal(payload)
	if err != nil {
		return Message{}, fmt.Errorf("outbox: payload: %w", err)
	}
	return Message{
		ID: id, Kind: kind, Payload: o.keys.Seal(purpose, id, data), Status: Queued,
		CreatedAt: now, NotBefore: now, ExpiresAt: expires, LeasedUntil: now.Add(Lease), Fence: 1,
	}, nil
}

// Payload returns what a message was prepared with, as JSON; nil if it is settled,
// which keeps nothing of it.
func (o *Outbox) Payload(m Message) ([]byte, error) {
	if len(m.Payload) == 0 {
		return nil, nil
	}
	data, err := o.keys.Open(purpose, m.ID, m.Payload)
	if err != nil {
		return nil, fmt.Errorf("outbox: payload of %s: %w", m.ID, err)
	}
	return data, nil
}

// Handoff gives committed messages to the workers. It never blocks: what finds
// no room is left to the next claim after its lease.
func (o *Outbox) Handoff(messages ...Message) {
	o.open.Add(int64(len(messages)))
	for _, m := range messages {
		o.enqueue(m)
	}
}

// Wake looks for due messages at once, for example after the clock was moved.
func (o *Outbox) Wake() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *Outbox) enqueue(m Message) {
	l := o.lanes[m.Kind]
	if l == nil { // once its lease is over, a node may claim it that knows the kind
		o.log.Warn("outbox: nobody delivers this kind", "id", m.ID, "kind", m.Kind)
		return
	}
	o.flight.Add(1)
	l.flight.Add(1)
	select {
	case l.queue <- m:
	default:
		o.landed(l)
	}
}

// Start begins to deliver. A second call does nothing.
func (o *Outbox) Start() {
	o.start.Do(func() {
		o.fetchers.Go(o.fetch)
		for kind, l := range o.lanes {
			for range l.workers {
				o.carriers.Go(func() { o.work(l, o.watch(kind, 0)) })
			}
		}
		o.settlers.Go(o.settle)
	})
}

// Stop takes no new message, lets deliveries under way end, writes what became
// of them and gives back the leases of what was not begun. When ctx ends first,
// deliveries are broken off and ctx's error is returned.
func (o *Outbox) Stop(ctx context.Context) error {
	o.start.Do(func() {}) // an outbox that never began stays so
	o.stopOnce.Do(func() {
		unhook := context.AfterFunc(ctx, o.abort)
		o.stop()
		o.fetchers.Wait()
		o.carriers.Wait()
		o.release()
		close(o.settled)
		o.settlers.Wait()
		unhook()
		o.abort()
		o.stopError = ctx.Err()
	})
	return o.stopError
}

// release gives back what waits in the queues, which nobody adds to or takes from any more.
func (o *Outbox) release() {
	var left []Message
	for _, l := range o.lanes {
		for len(l.queue) > 0 {
			m := <-l.queue
			m.LeasedUntil = time.Time{}
			left = append(left, m)
		}
	}
	if len(left) > 0 {
		o.lastWrite(left)
	}
}

// fetch claims due messages that nobody holds: those of a process that died,
// those that were delayed, and those that found no room in the queue.
func (o *Outbox) fetch() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	run := o.watch("outbox", claimEvery)
	var recount time.Time
	for {
		select {
		case <-o.stopping.Done():
			return
		case <-o.rearm:
			timer.Reset(o.untilDue())
			continue
		case <-o.wake:
		case <-timer.C:
		}
		_ = run(func() (err error) { // which has been said
			if began := time.Now(); !began.Before(recount) {
				err = o.count()
				recount = began.Add(max(claimEvery, countShare*time.Since(began)))
			}
			return errors.Join(err, o.claim())
		})
		timer.Reset(o.untilDue())
	}
}

func (o *Outbox) claim() error {
	now := o.now()
	o.tidy(now)
	for kind, l := range o.lanes {
		limit := o.room(l, now)
		if limit == 0 {
			continue
		}
		messages, err := o.store.ClaimOutbox(o.stopping, kind, now, now.Add(Lease), limit)
		if err != nil {
			if o.stopping.Err() == nil {
				o.log.Error("outbox: claim", "error", err)
			}
			return err
		}
		l.more.Store(len(messages) == limit)
		for _, m := range messages {
			o.enqueue(m)
		}
	}
	return nil
}

// room says how many messages of a lane are worth claiming: as many as can be delivered
// within their lease, one where that is a probe, none that the breaker would send back.
func (o *Outbox) room(l *lane, now time.Time) int {
	free := max(0, 8*l.workers-int(l.flight.Load()))
	switch all, probe, next := l.breaker.due(now); {
	case all:
		return free
	case probe:
		return min(1, free)
	default:
		o.due(next)
		return 0
	}
}

// due notes that something will be due at t.
func (o *Outbox) due(t time.Time) {
	o.mu.Lock()
	sooner := o.nextDue.IsZero() || t.Before(o.nextDue)
	if sooner {
		o.nextDue = t
	}
	o.mu.Unlock()
	if sooner {
		select {
		case o.rearm <- struct{}{}:
		default:
		}
	}
}

func (o *Outbox) untilDue() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.nextDue.IsZero() {
		return claimEvery
	}
	return min(claimEvery, max(0, o.nextDue.Sub(o.now())))
}

// tidy forgets what time has overtaken.
func (o *Outbox) tidy(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !now.Before(o.nextDue) {
		o.nextDue = time.Time{}
	}
}
