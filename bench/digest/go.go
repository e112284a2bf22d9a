// digest with Go: the SHA-256 of every file below a directory; one goroutine walks, THREADS of them
// hash (the pipeline of the errgroup documentation). Called `prog THREADS DIRECTORY`; prints the
// lines of sha256sum, sorted by name.
package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strconv"

	"golang.org/x/sync/errgroup"
	"knitbench"
)

type result struct {
	path string
	sum  [sha256.Size]byte
}

func hashFile(path string, buffer []byte) (r result, err error) {
	file, err := os.Open(path)
	if err != nil {
		return r, err
	}
	defer file.Close()
	hash := sha256.New()
	// The bare Reader and Writer: otherwise io.CopyBuffer would not use the buffer.
	_, err = io.CopyBuffer(struct{ io.Writer }{hash}, struct{ io.Reader }{file}, buffer)
	r.path = path
	hash.Sum(r.sum[:0])
	return r, err
}

func hashAll(root string, workers int) ([]result, error) {
	g, ctx := errgroup.WithContext(context.Background())
	paths := make(chan string, 128)
	results := make(chan result, 128)
	g.Go(func() error {
		defer close(paths)
		return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			select {
			case paths <- path:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	})
	for i := 0; i < workers; i++ {
		g.Go(func() error {
			buffer := make([]byte, 128<<10)
			for path := range paths {
				r, err := hashFile(path, buffer)
				if err != nil {
					return err
				}
				select {
				case results <- r:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		})
	}
	var err error
	go func() {
		err = g.Wait()
		close(results)
	}()
	var all []result
	for r := range results {
		all = append(all, r)
	}
	return all, err
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: go THREADS DIRECTORY")
		os.Exit(2)
	}
	threads, err := strconv.Atoi(os.Args[1])
	knitbench.Check(err)
	runtime.GOMAXPROCS(threads)
	all, err := hashAll(os.Args[2], threads)
	knitbench.Check(err)
	sort.Slice(all, func(i, j int) bool { return all[i].path < all[j].path })
	out := bufio.NewWriter(os.Stdout)
	for _, r := range all {
		fmt.Fprintf(out, "%x  %s\n", r.sum, r.path)
	}
	knitbench.Check(out.Flush())
}
