// copy with Go: two goroutines; io.Copy fills the pipe (with its buffer of 32 kB; it has no better
// way from a file to a pipe), and a loop of reads empties it. Output as copy.h.
package main

import (
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"knitbench"
)

const chunk = 128 * 1024

func copyRound(file *os.File) int64 {
	_, err := file.Seek(0, io.SeekStart)
	knitbench.Check(err)
	r, w, err := os.Pipe()
	knitbench.Check(err)
	go func() {
		_, err := io.Copy(w, file)
		knitbench.Check(err)
		w.Close()
	}()
	defer r.Close()
	buf := make([]byte, chunk)
	var copied int64
	for {
		n, err := r.Read(buf)
		copied += int64(n)
		if err == io.EOF {
			return copied
		}
		knitbench.Check(err)
	}
}

func cpu() float64 {
	var usage syscall.Rusage
	knitbench.Check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

func main() {
	knitbench.Args()
	file, err := os.Open(os.Args[3])
	knitbench.Check(err)
	copyRound(file)
	before, start := cpu(), time.Now()
	copied := copyRound(file)
	took := time.Since(start)
	fmt.Printf("%.3f cpu=%.3f\n", float64(copied)/float64(took.Nanoseconds()), cpu()-before)
}
