package history

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// tooLate is how long before its end a mail is not sent any more (REL R-07).
const tooLate = time.Minute

// i6: promised mail arrives or is given up with a reason, and a repetition is one.
func (v *view) i6() (found []string) {
	byID := map[string]Mail{}
	for _, m := range v.state.Mails {
		if was, ok := byID[m.MessageID]; ok && (was.To != m.To || was.Code != m.Code) {
			found = append(found, fmt.Sprintf("two mails are called %s", m.MessageID))
		}
		byID[m.MessageID] = m
	}
	arrived := map[string]bool{} // by the id of the outbox
	for _, m := range byID {
		arrived[m.outbox()] = true
	}
	expired := 0 // rightly
	for id, m := range v.state.Outbox {
		switch {
		case m.Status == "queued" || m.Status == "delayed":
			found = append(found, fmt.Sprintf("mail %s is still %s (%s)", id, m.Status, m.LastError))
		case m.Status == "sent" && !arrived[id]:
			found = append(found, fmt.Sprintf("mail %s is written down as sent, and did not arrive", id))
		case m.Status == "refused" && m.LastError == "":
			found = append(found, fmt.Sprintf("mail %s was refused for no reason", id))
		case m.Status == "expired" && m.LastError == "" && m.Ends.After(v.state.Read.Add(tooLate)):
			found = append(found, fmt.Sprintf("mail %s expired for no reason, %v before its end", id, m.Ends.Sub(v.state.Read)))
		case m.Status == "expired":
			expired++
		}
	}
	askedFor, promised := map[string]int{}, map[string]bool{}
	for _, f := range v.flows {
		asks := false
		for _, c := range f.calls {
			if strings.HasSuffix(c.Path, "/resend") {
				askedFor[f.address]++
			}
			asks = asks || c.Address != ""
			promised[f.address] = promised[f.address] || c.Acknowledged() && c.Stage == Asked
		}
		if asks {
			askedFor[f.address]++
		}
	}
	var without []string
	for address, yes := range promised {
		if yes && len(v.mails[address]) == 0 && !v.Crashed && !v.state.Refused[address] {
			without = append(without, address)
		}
	}
	if len(without) > expired { // whom a row was for, it does not say once it is settled
		for _, address := range without {
			found = append(found, fmt.Sprintf("%s was promised a mail, and none came; the mail server refused none to it, and %d expired", address, expired))
		}
	}
	for address, mails := range v.mails {
		distinct := map[string]bool{}
		for _, m := range mails {
			if m.Code != "" {
				distinct[m.MessageID] = true
			}
		}
		if n := askedFor[address]; len(distinct) > n {
			found = append(found, fmt.Sprintf("%s got %d codes, and asked for %d", address, len(distinct), n))
		}
	}
	return found
}

// i7: a transaction's visible state never moves backwards.
func (v *view) i7() (found []string) {
	for _, f := range v.flows {
		calls := slices.Clone(f.calls)
		slices.SortFunc(calls, func(a, b Call) int { return a.Ended().Compare(b.Ended()) })
		for i, b := range calls {
			if b.Stage == None && b.Error != "idx.session.expired" {
				continue
			}
			for _, a := range calls[:i] {
				back := a.Stage > b.Stage && !a.Ended().After(b.At)
				if back && !(v.Crashed && a.Stage < Proven) && a.Stage != Finished {
					found = append(found, fmt.Sprintf("transaction %s was at %d and then, in request %d, at %d (%s)", f.id, a.Stage, b.N, b.Stage, b.Error))
					break
				}
			}
		}
	}
	return found
}

// internal is what nobody outside should read.
var internal = regexp.MustCompile(`(?i)sqlstate|postgres|sqlite|\bpgx?:|database is|dial (tcp|unix)|connection refused|broken pipe|context deadline|goroutine|runtime error|panic|\.go:\d|/tmp/|no such (table|file)`)

// i10: no 5xx has internal text, and no request hangs past its deadline.
func (v *view) i10() (found []string) {
	for _, c := range v.calls {
		if c.Status >= 500 && internal.MatchString(c.Body) {
			found = append(found, fmt.Sprintf("request %d, %s: %d says %.200q", c.N, c.Path, c.Status, c.Body))
		}
		if v.Deadline > 0 && c.Took > v.Deadline+time.Second {
			found = append(found, fmt.Sprintf("request %d, %s: %v", c.N, c.Path, c.Took.Round(time.Millisecond)))
		}
	}
	return found
}
