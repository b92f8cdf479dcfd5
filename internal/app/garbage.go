package app

import "sync"

// garbage is how much may gather before the collector runs.
const garbage = 8 << 20

var untouched []byte

// CollectSeldom makes the collector of this process wait for some MiB of garbage.
// It would wait for as much as the heap has in use, which in an engine is hardly
// anything: a sixth of a sign-up's work was collecting.
//
// The collector counts memory that nothing touches as in use, and the machine does
// not. Unlike a higher GOGC this adds the same to a heap of any size, such as one
// where passwords are hashed.
var CollectSeldom = sync.OnceFunc(func() { untouched = make([]byte, garbage) })
