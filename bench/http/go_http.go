// The server of http with Go's net/http, which does more: all of the protocol, and a Date header.
package main

import (
	"io"
	"net/http"

	"knitbench"
	"knitserve"
)

func hello(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	_, err := io.WriteString(w, "hello\n")
	knitbench.Check(err)
}

func main() {
	knitbench.Check(http.Serve(knitserve.Listen(), http.HandlerFunc(hello)))
}
