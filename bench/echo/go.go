// The server of echo, accept and idle with Go: a goroutine per connection.
package main

import (
	"net"

	"knitserve"
)

func echo(conn net.Conn) {
	defer conn.Close()
	buf := make([]byte, knitserve.Buffer)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		if _, err = conn.Write(buf[:n]); err != nil {
			return
		}
	}
}

func main() {
	knitserve.Serve(echo)
}
