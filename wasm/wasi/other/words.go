// Counts the words of a file, in Go, with goroutines beside: see README.md for what all `words` do.
package main

import (
	"fmt"
	"os"
	"sort"
	"strings"
	"time"
)

func main() {
	greeting, found := os.LookupEnv("GREETING")
	if !found {
		greeting = "nothing"
	}
	fmt.Printf("%s from a program in Go\n", greeting)
	for i, argument := range os.Args[1:] {
		fmt.Printf("argument %d: %s\n", i+1, argument)
	}
	if len(os.Args) != 3 {
		os.Exit(2)
	}
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		fmt.Printf("%s cannot be read\n", os.Args[1])
		os.Exit(1)
	}
	counts := map[string]int{}
	words := make(chan string)
	go func() {
		for _, word := range strings.Fields(string(text)) {
			words <- word
		}
		close(words)
	}()
	for word := range words {
		counts[word]++
	}
	names := make([]string, 0, len(counts))
	for word := range counts {
		names = append(names, word)
	}
	sort.Strings(names)
	list := ""
	for _, word := range names {
		list += fmt.Sprintf("%s %d\n", word, counts[word])
	}
	if err := os.WriteFile(os.Args[2], []byte(list), 0o666); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	back, _ := os.ReadFile(os.Args[2])
	same := "changed"
	if string(back) == list {
		same = "read back as written"
	}
	fmt.Printf("%s%d words, %s\n", back, len(counts), same)

	before := time.Now()
	time.Sleep(20 * time.Millisecond)
	if time.Since(before) >= 20*time.Millisecond {
		fmt.Println("slept")
	} else {
		fmt.Println("did not sleep")
	}
	os.Exit(3)
}
