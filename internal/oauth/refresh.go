package oauth

import (
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A refresh token is "rt.", the family's id, a dot, the generation as eight hex
// digits, a dot and a MAC over both: 256 bits that nobody without the master
// key can make, of which nothing is stored (SEC S-20, S-81).
const (
	refreshPrefix = "rt."
	familyPrefix  = "rf"
	familyLength  = len(familyPrefix) + 22
	refreshLength = len(refreshPrefix) + familyLength + 1 + 8 + 1 + 43
)

func (s *Server) refreshToken(family string, generation int64) string {
	mac := s.keyring.MAC("oauth/refresh", family, strconv.FormatInt(generation, 10))
	return fmt.Sprintf("%s%s.%08x.%s", refreshPrefix, family, generation, base64.RawURLEncoding.EncodeToString(mac[:]))
}

// parseRefreshToken returns what a token names, if it is one of ours to the byte.
func (s *Server) parseRefreshToken(token string) (family string, generation int64, ok bool) {
	rest, ok := strings.CutPrefix(token, refreshPrefix)
	if !ok || len(token) != refreshLength {
		return "", 0, false
	}
	family, digits := rest[:familyLength], rest[familyLength+1:familyLength+9]
	generation, err := strconv.ParseInt(digits, 16, 64)
	if err != nil || subtle.ConstantTimeCompare([]byte(s.refreshToken(family, generation)), []byte(token)) != 1 {
		return "", 0, false
	}
	return family, generation, true
}

// refreshState is what a token of a live family may be used for.
type refreshState int

const (
	refreshEnded    refreshState = iota
	refreshCurrent               // may be exchanged
	refreshRepeated              // was exchanged within the grace time
	refreshReused                // was exchanged before
)

func (i *issuer) stateOf(f *RefreshFamily, generation int64, now time.Time) refreshState {
	switch {
	case generation < f.Generation-1,
		generation == f.Generation-1 && now.Sub(f.RotatedAt) > i.RefreshGrace:
		return refreshReused
	case generation > f.Generation: // made with the right key, yet never handed out: a restored database
		return refreshEnded
	case !now.Before(f.IdleUntil), !now.Before(f.ExpiresAt):
		return refreshEnded
	case generation == f.Generation:
		return refreshCurrent
	}
	return refreshRepeated
}
