// Package browser holds no code but its tests: people at a real Chromium walk
// through the pages and mail of a running stile.
package browser
