package mail

import (
	"context"
	"encoding/json"
	"strconv"

	"github.com/stile-id/stile/internal/outbox"
)

// A Post composes the mail of outbox messages and delivers it by what is set:
// to the development inbox, over SMTP, or both. It implements outbox.Deliverer.
type Post struct {
	Composer *Composer
	Inbox    *Inbox
	SMTP     *Relays
}

// Deliver returns errors of package outbox. What cannot be composed is refused:
// it would be no better on another try.
func (p *Post) Deliver(ctx context.Context, d outbox.Delivery) error {
	var m Message
	if err := json.Unmarshal(d.Payload, &m); err != nil {
		return &outbox.Permanent{Class: "invalid", Err: err}
	}
	if m.Origin.At.IsZero() {
		m.Origin.At = d.CreatedAt
	}
	// A row's id may come again once the row is purged; receivers must not take
	// the later mail for a repetition of the earlier.
	id := d.ID + "-" + strconv.FormatInt(d.CreatedAt.Unix(), 36)
	l, err := p.Composer.Compose(id, m)
	if err != nil {
		return &outbox.Permanent{Class: "invalid", Err: err}
	}
	if m.Void {
		if p.SMTP == nil {
			return nil
		}
		return p.SMTP.Try(ctx)
	}
	if p.Inbox != nil {
		p.Inbox.Add(l)
	}
	if p.SMTP != nil {
		return p.SMTP.Send(ctx, l)
	}
	return nil
}
