// Package knitserve is what the servers in Go share.
package knitserve

import (
	"context"
	"fmt"
	"net"

	"knitbench"
)

// Buffer is what a connection reads at most at a time, as in serve.h.
const Buffer = 1024

// Listen begins on a free port, and tells it to who started us (load.c). Keep-alive probes would
// cost each connection some system calls that the other servers do not make.
func Listen() net.Listener {
	knitbench.Args()
	config := net.ListenConfig{KeepAlive: -1}
	listener, err := config.Listen(context.Background(), "tcp4", "127.0.0.1:0")
	knitbench.Check(err)
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	return listener
}

// Serve is all of main: a goroutine for each connection.
func Serve(handle func(net.Conn)) {
	listener := Listen()
	for {
		conn, err := listener.Accept()
		knitbench.Check(err)
		go handle(conn)
	}
}
