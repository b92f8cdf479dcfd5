package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stile-id/stile/internal/directory"
	"github.com/stile-id/stile/internal/flow"
	"github.com/stile-id/stile/internal/store"
	"github.com/stile-id/stile/internal/store/sqlstore"
)

// maxBatch bounds a group, and with it how long its first member waits.
const maxBatch = 256

// A writer owns the only connection that writes. Its goroutine takes the jobs
// that are waiting, lets each write within a savepoint of its own, commits once,
// and only then answers. It hands the turn to each caller's goroutine instead of
// running fn itself: a panic in fn stays where it belongs, with its stack.
type writer struct {
	db      *sql.DB
	conn    *sql.Conn
	stmts   *sqlstore.Prepared
	checker *checkpointer
	flows   *recent[flow.Row]
	people  *recent[directory.Account]
	log     *slog.Logger
	queue   chan *job
	done    chan struct{}

	lazyWait time.Duration

	mu     sync.RWMutex // held to read while sending to queue
	closed bool

	full      bool // how PRAGMA synchronous stands
	unchecked int64

	commits, durable, rowWrites, txReads, refused atomic.Int64
}

const (
	queued int32 = iota
	begun
	abandoned
)

// A job is one caller's transaction.
type job struct {
	durability store.Durability
	state      atomic.Int32
	turn       chan *sqlstore.Tx // the caller's turn; nil if it will not come
	ran        chan error        // what fn returned
	done       chan error        // what became of it

	err   error // the writer's, until it is sent to done
	steps []flow.Row

	people  []directory.Account // who were changed, as they are now
	changed []string            // the same, and who is there no more
	anybody bool                // some account was changed, it is not known whose
}

var jobs = sync.Pool{New: func() any {
	return &job{turn: make(chan *sqlstore.Tx, 1), ran: make(chan error, 1), done: make(chan error, 1)}
}}

func newWriter(ctx context.Context, db *sql.DB, c *checkpointer, o Options) (*writer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{
		db: db, conn: conn, stmts: sqlstore.Prepare(conn), checker: c, flows: newRecent[flow.Row](), people: newRecent[directory.Account](), log: o.Logger,
		queue: make(chan *job, queueDepth), done: make(chan struct{}), lazyWait: o.LazyWait,
	}
	go w.run()
	return w, nil
}

var errNoReturn = errors.New("sqlite: the transaction's function did not return")

// do runs fn within a transaction and returns once that is committed or undone,
// or if the disk takes so long that ctx's deadline passes, with ErrUnknown.
func (w *writer) do(ctx context.Context, d store.Durability, fn func(*sqlstore.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j := jobs.Get().(*job)
	j.durability, j.err, j.steps = d, nil, nil
	j.people, j.changed, j.anybody = nil, nil, false
	j.state.Store(queued)
	if err := w.enqueue(j); err != nil {
		jobs.Put(j)
		return err
	}
	var tx *sqlstore.Tx
	select {
	case tx = <-j.turn:
	case <-ctx.Done():
		if j.state.CompareAndSwap(queued, abandoned) {
			return ctx.Err()
		}
		tx = <-j.turn
	}
	if tx != nil {
		j.call(tx, fn)
	}
	for stalled := ctx.Done(); ; {
		select {
		case err := <-j.done:
			jobs.Put(j)
			return err
		case <-stalled:
			stalled = nil
			// If nobody waits any more, what follows a commit must still follow it.
			if errors.Is(ctx.Err(), context.DeadlineExceeded) && len(j.done) == 0 {
				return fmt.Errorf("%w: %w", store.ErrUnknown, ctx.Err()) // the writer still has j
			}
		}
	}
}

func (j *job) call(tx *sqlstore.Tx, fn func(*sqlstore.Tx) error) {
	err := errNoReturn
	defer func() { j.ran <- err }() // also when fn panics
	err = fn(tx)
}

func (w *writer) enqueue(j *job) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.closed {
		return store.ErrClosed
	}
	select {
	case w.queue <- j:
		return nil
	default:
		w.refused.Add(1)
		return store.ErrBusy
	}
}

func (w *writer) run() {
	defer close(w.done)
	batch := make([]*job, 0, maxBatch)
	for {
		if len(batch) > 1 {
			runtime.Gosched() // those who were just answered may have more to write
		}
		batch = w.next(batch[:0])
		if len(batch) == 0 {
			return
		}
		for rest := batch; len(rest) > 0; {
			rest = w.group(rest)
		}
		if w.checker.tail.CompareAndSwap(true, false) {
			if _, _, err := checkpoint(w.conn, "PASSIVE"); err != nil {
				w.log.Warn("database checkpoint", "error", err)
			}
		}
	}
}

// next waits for jobs and takes those that are there. Lazy ones alone wait for
// company. It returns none once the queue is closed and empty.
func (w *writer) next(batch []*job) []*job {
	j, ok := <-w.queue
	var patience <-chan time.Time
	for ok {
		batch = append(batch, j)
		if len(batch) == maxBatch {
			return batch
		}
		select {
		case j, ok = <-w.queue:
			continue
		default:
		}
		if slices.ContainsFunc(batch, func(j *job) bool { return j.durability != store.Lazy }) {
			return batch
		}
		if patience == nil {
			patience = time.After(w.lazyWait)
		}
		select {
		case j, ok = <-w.queue:
		case <-patience:
			return batch
		}
	}
	return batch
}

// group runs a batch in one database transaction and answers it. If the
// database gives up half way it returns the jobs that have not begun.
func (w *writer) group(batch []*job) (rest []*job) {
	durable := false
	for _, j := range batch {
		durable = durable || (j.durability == store.Durable && j.state.Load() == queued)
	}
	if err := w.begin(durable); err != nil {
		for _, j := range batch {
			if j.state.CompareAndSwap(queued, begun) {
				j.turn <- nil
				j.done <- err
			}
		}
		return nil
	}
	rows, last, err := w.members(batch)
	w.forget(batch[:last])
	switch {
	case err == nil && rows > 0:
		err = w.exec("COMMIT")
	case err == nil: // nothing to commit
		_ = w.exec("ROLLBACK")
	}
	if err != nil {
		_ = w.exec("ROLLBACK") // fails if SQLite has done so by itself
		err = w.failure("commit", err)
	} else {
		w.count(durable, rows)
		w.remember(batch[:last])
	}
	for _, j := range batch[:last] {
		if j.state.Load() == begun {
			j.done <- cmp.Or(err, j.err)
		}
	}
	return batch[last:]
}

// forget takes out of what is kept all that a commit is about to change.
func (w *writer) forget(batch []*job) {
	for _, j := range batch {
		for _, row := range j.steps {
			w.flows.drop(row.ID)
		}
		for _, id := range j.changed {
			w.people.drop(id)
		}
		if j.anybody {
			w.people.clear()
		}
	}
}

// remember keeps what a commit has changed. Who was changed by one job, and removed by
// the next that shared the commit, is not there.
func (w *writer) remember(batch []*job) {
	for _, j := range batch {
		if j.anybody {
			w.people.clear()
		}
		for _, id := range j.changed {
			w.people.drop(id)
		}
		for _, row := range j.steps {
			w.flows.put(row.ID, row, len(row.ClientID)+len(row.Data))
		}
		for _, a := range j.people {
			w.people.put(a.ID, a, sizeOf(a))
		}
	}
}

// members gives each job of a batch its turn, until all have had it or the
// transaction is lost. It returns how many rows they wrote, and how many of the
// batch it has been through.
func (w *writer) members(batch []*job) (rows int64, last int, err error) {
	for i, j := range batch {
		if !j.state.CompareAndSwap(queued, begun) {
			continue
		}
		n, err := w.one(j, len(batch) > 1)
		if err != nil {
			return 0, i + 1, err
		}
		if j.err == nil {
			rows += n
		}
	}
	return rows, len(batch), nil
}

// begin starts a transaction with the durability that is asked for. The pragma
// has no effect within one, and runs while it is compiled: it is not prepared.
func (w *writer) begin(durable bool) error {
	if durable != w.full {
		mode := "NORMAL"
		if durable {
			mode = "FULL"
		}
		if _, err := w.conn.ExecContext(context.Background(), "PRAGMA synchronous="+mode); err != nil {
			return w.failure("set durability", err)
		}
		w.full = durable
	}
	err := w.exec("BEGIN IMMEDIATE")
	if err != nil {
		_ = w.exec("ROLLBACK") // should the last one have failed
		return w.failure("begin", err)
	}
	return nil
}

func (w *writer) failure(what string, err error) error {
	w.log.Error("database "+what, "error", err)
	if classify(err) == sqlstore.Unavailable {
		return sqlstore.Refused(fmt.Errorf("%s: %w", what, err))
	}
	return fmt.Errorf("sqlite: %s: %w", what, err)
}

// one gives a job its turn. Its outcome stands in j.err; broken says that the
// whole transaction is lost.
func (w *writer) one(j *job, shared bool) (rows int64, broken error) {
	if shared {
		if err := w.exec("SAVEPOINT job"); err != nil {
			j.turn <- nil
			return 0, err
		}
	}
	tx := sqlstore.NewTx(context.Background(), w.stmts, dialect)
	j.turn <- tx
	j.err = <-j.ran
	j.changed, j.anybody = tx.People() // also of what is undone: who has read something old reads anew
	if j.err == nil {
		j.err = j.look(tx)
	}
	failed := tx.End()
	w.txReads.Add(tx.Reads())
	if j.err == nil {
		j.err = failed
	}
	if j.err == nil {
		j.steps = tx.Steps()
	} else {
		j.people = nil
	}
	if !shared {
		return tx.Rows(), nil
	}
	if j.err != nil {
		if err := w.exec("ROLLBACK TO job"); err != nil {
			return 0, errors.Join(j.err, err)
		}
	}
	return tx.Rows(), w.exec("RELEASE job")
}

// look reads whom the job has changed, while the pages are at hand: who signs up is
// asked for three times more within seconds.
func (j *job) look(tx *sqlstore.Tx) error {
	for _, id := range j.changed {
		a, err := tx.Account(id)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		j.people = append(j.people, a)
	}
	return nil
}

func (w *writer) exec(text string) error {
	_, err := w.stmts.Exec(context.Background(), text)
	return err
}

func (w *writer) count(durable bool, rows int64) {
	if rows == 0 {
		return
	}
	w.commits.Add(1)
	if durable {
		w.durable.Add(1)
	}
	w.rowWrites.Add(rows)
	if w.unchecked += rows; w.unchecked >= checkRows {
		w.unchecked = 0
		w.checker.written()
	}
}

// close lets the queued jobs finish.
func (w *writer) close() error {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.queue)
	}
	w.mu.Unlock()
	<-w.done
	return errors.Join(w.stmts.Close(), w.db.Close())
}
