package mail

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// InboxMax is how many messages an Inbox keeps; the oldest go first (UX P8.5).
const InboxMax = 1000

var (
	// ErrUnknownMessage is returned where a message is named that the inbox does not know.
	ErrUnknownMessage = errors.New("mail: no such message in the inbox")
	// ErrClosed is returned to those who wait when the inbox is closed.
	ErrClosed = errors.New("mail: inbox is closed")
)

// An InboxMessage is a mail, or a text or call to a phone, as the development inbox
// tells it. Code and Link are the typed fields that it was made of.
type InboxMessage struct {
	ID        string    `json:"id"`   // the letter's
	Kind      string    `json:"kind"` // "mail", "sms" or "voice"
	To        string    `json:"to"`
	From      string    `json:"from"`
	Subject   string    `json:"subject"`
	Text      string    `json:"text"`
	HTML      string    `json:"html"`
	Code      string    `json:"code"`
	Link      string    `json:"link"`
	CreatedAt time.Time `json:"createdAt"` // when it got here
}

// A kept message is one with its number, in the order of arrival, and what its source is made of.
type kept struct {
	Number int64     `json:"number"`
	At     time.Time `json:"at"`
	Letter *Letter   `json:"letter"`
}

// A place is where a message stands: two that are written one after the other may
// arrive in any order.
type place struct {
	written time.Time
	number  int64
}

func (k *kept) place() place { return place{k.Letter.Date, k.Number} }

func (p place) compare(other place) int {
	return cmp.Or(p.written.Compare(other.written), cmp.Compare(p.number, other.number))
}

func (k *kept) message() InboxMessage {
	from := k.Letter.From.String()
	if k.Letter.Phone != "" {
		from = k.Letter.From.Name
	}
	return InboxMessage{
		ID: k.Letter.ID, Kind: cmp.Or(k.Letter.Phone, Kind), To: k.Letter.To, From: from, Subject: k.Letter.Subject,
		Text: k.Letter.Text, HTML: k.Letter.HTML, Code: k.Letter.Code, Link: k.Letter.Link, CreatedAt: k.At,
	}
}

// InboxConfig has usable zero values.
type InboxConfig struct {
	// Dir keeps messages over a restart, a file each. Empty: in memory only.
	Dir    string
	Now    func() time.Time // default time.Now
	Logger *slog.Logger     // default: none

	// AnyHost lets other machines read the inbox. Otherwise its pages answer
	// requests from and to a loopback address only (UX P8.6).
	AnyHost bool
	// Hosts are names, beside localhost, under which the inbox is reached on this machine.
	Hosts []string
}

// An Inbox keeps mail for whoever develops or tests. It is safe for concurrent use.
type Inbox struct {
	dir     string
	now     func() time.Time
	log     *slog.Logger
	anyHost bool
	hosts   []string

	mu      sync.Mutex
	last    int64
	kept    []*kept          // as they arrived
	places  map[string]place // of messages that are here, or were not long ago
	changed chan struct{}    // closed and replaced with each new message
	closed  chan struct{}
	close   sync.Once
}

// NewInbox opens an inbox, with what its directory kept.
func NewInbox(c InboxConfig) (*Inbox, error) {
	b := &Inbox{
		dir: c.Dir, now: c.Now, log: c.Logger, anyHost: c.AnyHost, hosts: c.Hosts,
		places: map[string]place{}, changed: make(chan struct{}), closed: make(chan struct{}),
	}
	if b.now == nil {
		b.now = time.Now
	}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	if b.dir == "" {
		return b, nil
	}
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return nil, fmt.Errorf("mail: inbox: %w", err)
	}
	return b, b.load()
}

func (b *Inbox) load() error {
	files, err := filepath.Glob(filepath.Join(b.dir, "*.json"))
	if err != nil {
		return fmt.Errorf("mail: inbox: %w", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("mail: inbox: %w", err)
		}
		var k kept
		if err := json.Unmarshal(data, &k); err != nil || k.Letter == nil {
			b.log.Warn("mail: inbox file cannot be read", "file", file, "error", err)
			continue
		}
		b.kept = append(b.kept, &k)
		b.places[k.Letter.ID] = k.place()
		b.last = max(b.last, k.Number)
	}
	slices.SortFunc(b.kept, func(x, y *kept) int { return cmp.Compare(x.Number, y.Number) })
	b.trim()
	return nil
}

// Add keeps a letter. The outbox delivers at least once, so a letter that is here
// already is not kept again.
func (b *Inbox) Add(l *Letter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, known := b.places[l.ID]; known {
		return
	}
	b.last++
	k := &kept{Number: b.last, At: b.now().UTC(), Letter: l}
	b.kept = append(b.kept, k)
	b.places[l.ID] = k.place()
	b.save(k)
	b.trim()
	close(b.changed)
	b.changed = make(chan struct{})
}

// AddText keeps what went to a phone, by "sms" or "voice", and was written at a time.
func (b *Inbox) AddText(id string, at time.Time, how, to, app, text, code, link string) {
	subject := "Text message"
	if how == "voice" {
		subject = "Voice call"
	}
	b.Add(&Letter{
		ID: id, Phone: how, From: mail.Address{Name: app}, To: to, Subject: subject, Date: at,
		Text: text, Code: code, Link: link,
	})
}

// trim drops the oldest messages beyond InboxMax, and forgets those long gone.
func (b *Inbox) trim() {
	for len(b.kept) > InboxMax {
		b.remove(b.kept[0])
		b.kept = b.kept[1:]
	}
	if len(b.places) > 10*InboxMax {
		for id, p := range b.places {
			if p.number <= b.last-5*InboxMax {
				delete(b.places, id)
			}
		}
	}
}

func (b *Inbox) file(k *kept) string {
	return filepath.Join(b.dir, fmt.Sprintf("%012d.json", k.Number))
}

// save writes by rename, so that a crash leaves no half of a file.
func (b *Inbox) save(k *kept) {
	if b.dir == "" {
		return
	}
	data, err := json.Marshal(k)
	if err == nil {
		temporary := filepath.Join(b.dir, "incoming")
		if err = os.WriteFile(temporary, data, 0o600); err == nil {
			err = os.Rename(temporary, b.file(k))
		}
	}
	if err != nil {
		b.log.Warn("mail: inbox message will not outlive this process", "id", k.Letter.ID, "error", err)
	}
}

func (b *Inbox) remove(k *kept) {
	if b.dir == "" {
		return
	}
	if err := os.Remove(b.file(k)); err != nil && !errors.Is(err, os.ErrNotExist) {
		b.log.Warn("mail: inbox file cannot be removed", "error", err)
	}
}

// Messages lists what went to an address, all if to is empty, the one written last first.
// Addresses are compared without regard to case.
func (b *Inbox) Messages(to string) []InboxMessage {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.list(query{to: to})
}

// Wait returns the newest message to an address that came after another one (by
// id) or after a time (RFC 3339); after may be empty. It waits for one until ctx
// ends and then returns ctx's error. An unknown id is ErrUnknownMessage.
func (b *Inbox) Wait(ctx context.Context, to, after string) (InboxMessage, error) {
	q, err := b.query(to, after)
	if err != nil {
		return InboxMessage{}, err
	}
	q.limit = 1
	found := b.await(ctx, q)
	switch {
	case len(found) > 0:
		return found[0], nil
	case ctx.Err() != nil:
		return InboxMessage{}, ctx.Err()
	default:
		return InboxMessage{}, ErrClosed
	}
}

// Close ends all waits, so that a server can shut down.
func (b *Inbox) Close() error {
	b.close.Do(func() { close(b.closed) })
	return nil
}

// Delete removes one message.
func (b *Inbox) Delete(id string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.kept, func(k *kept) bool { return k.Letter.ID == id })
	if i < 0 {
		return ErrUnknownMessage
	}
	b.remove(b.kept[i])
	b.kept = slices.Delete(b.kept, i, i+1)
	return nil
}

// DeleteAll removes what went to an address, everything if to is empty.
func (b *Inbox) DeleteAll(to string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept = slices.DeleteFunc(b.kept, func(k *kept) bool {
		matches := query{to: to}.matches(k)
		if matches {
			b.remove(k)
		}
		return matches
	})
}

// A query selects messages.
type query struct {
	to     string
	behind place     // after this one
	at     time.Time // after this moment
	limit  int       // 0: all
}

func (q query) matches(k *kept) bool {
	return (q.to == "" || sameAddress(k.Letter.To, q.to)) && k.place().compare(q.behind) > 0 && (q.at.IsZero() || k.At.After(q.at))
}

// sameAddress compares without regard to case, and knows a domain in either of
// its spellings; of a number what was left of it: the plus sign of a query is a space.
func sameAddress(a, b string) bool {
	if strings.HasPrefix(a, "+") && strings.TrimPrefix(a, "+") == strings.TrimPrefix(b, "+") {
		return true
	}
	return strings.EqualFold(a, b) || strings.EqualFold(asciiAddress(a), asciiAddress(b))
}

func (b *Inbox) query(to, after string) (query, error) {
	q := query{to: strings.TrimSpace(to)}
	if after == "" {
		return q, nil
	}
	b.mu.Lock()
	p, known := b.places[after]
	b.mu.Unlock()
	if known {
		q.behind = p
		return q, nil
	}
	at, err := time.Parse(time.RFC3339, after)
	if err != nil {
		return q, fmt.Errorf("%w, and %q is no time", ErrUnknownMessage, after)
	}
	q.at = at
	return q, nil
}

// await lists matches as soon as there is one, or nothing once ctx has ended.
func (b *Inbox) await(ctx context.Context, q query) []InboxMessage {
	for {
		b.mu.Lock()
		found, changed := b.list(q), b.changed
		b.mu.Unlock()
		if len(found) > 0 {
			return found
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		case <-b.closed:
			return nil
		}
	}
}

func (b *Inbox) list(q query) []InboxMessage {
	var matches []*kept
	for _, k := range b.kept {
		if q.matches(k) {
			matches = append(matches, k)
		}
	}
	slices.SortFunc(matches, func(x, y *kept) int { return y.place().compare(x.place()) })
	found := []InboxMessage{}
	for _, k := range matches {
		if q.limit > 0 && len(found) == q.limit {
			break
		}
		found = append(found, k.message())
	}
	return found
}

func (b *Inbox) letter(id string) (*kept, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.kept, func(k *kept) bool { return k.Letter.ID == id })
	if i < 0 {
		return nil, false
	}
	return b.kept[i], true
}
