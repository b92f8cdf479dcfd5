package edge

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

// An APIError is an error in the shape that every door has outside of OAuth and
// of IDX transactions (IDX E11, E26).
type APIError struct {
	Status  int
	Code    string   // such as E0000007
	Summary string   // for the caller's developer
	Causes  []string // what is wrong in particular, if there is more to say
}

// The errors that do not depend on the door.
var (
	Forbidden        = APIError{Status: http.StatusForbidden, Code: "E0000006", Summary: "You do not have permission to perform the requested action"}
	NotFound         = APIError{Status: http.StatusNotFound, Code: "E0000007", Summary: "Not found: Resource not found"}
	MethodNotAllowed = APIError{Status: http.StatusMethodNotAllowed, Code: "E0000022", Summary: "The endpoint does not support the provided HTTP method"}
	TooManyRequests  = APIError{Status: http.StatusTooManyRequests, Code: "E0000047", Summary: "API call exceeded rate limit due to too many requests."}
)

type errorCause struct {
	Summary string `json:"errorSummary"`
}

// Write answers a request with the error. Its errorId holds the request's id,
// which finds it in the log.
func (e APIError) Write(w http.ResponseWriter, r *http.Request) {
	causes := make([]errorCause, len(e.Causes)) // clients expect a list, empty or not
	for i, c := range e.Causes {
		causes[i] = errorCause{c}
	}
	WriteJSON(w, e.Status, struct {
		Causes  []errorCause `json:"errorCauses"`
		Code    string       `json:"errorCode"`
		ID      string       `json:"errorId"`
		Link    string       `json:"errorLink"`
		Summary string       `json:"errorSummary"`
	}{causes, e.Code, "oae" + RequestID(r.Context()), e.Code, e.Summary})
}

// SetRetryAfter says when to come back, in whole seconds and never too early.
func SetRetryAfter(w http.ResponseWriter, d time.Duration) {
	w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(d.Seconds()))))
}

// SetTooMany says of a 429 when to come back, as clients of the field read it
// too (SEC S-112). How many requests somebody else has made is not told.
func SetTooMany(w http.ResponseWriter, d time.Duration) {
	SetRetryAfter(w, d)
	w.Header().Set("X-Rate-Limit-Remaining", "0")
	w.Header().Set("X-Rate-Limit-Reset", strconv.FormatInt(time.Now().Add(d+time.Second).Unix(), 10))
}

// WriteJSON answers with v, which must be of a type that can be encoded.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("edge: encode %T: %v", v, err))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}
