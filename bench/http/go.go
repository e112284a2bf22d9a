// The server of http with Go's net, and as little of HTTP as knit.c has: a goroutine per connection.
package main

import (
	"bytes"
	"net"

	"knitserve"
)

var (
	headEnd = []byte("\r\n\r\n")
	answer  = []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nhello\n")
)

func serve(conn net.Conn) {
	defer conn.Close()
	buf := make([]byte, 2048)
	have := 0
	for have < len(buf) {
		n, err := conn.Read(buf[have:])
		if err != nil {
			return
		}
		have += n
		from := 0
		for {
			end := bytes.Index(buf[from:have], headEnd)
			if end < 0 {
				break
			}
			from += end + len(headEnd)
			if _, err = conn.Write(answer); err != nil {
				return
			}
		}
		have = copy(buf, buf[from:have])
	}
}

func main() {
	knitserve.Serve(serve)
}
