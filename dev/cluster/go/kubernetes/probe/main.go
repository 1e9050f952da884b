// probe is what the cluster's own tests run in pods: one static program, so that its image needs
// nothing else.
//
//	probe identity            print who this process is, as JSON
//	probe serve PORT          answer every HTTP request with it
//	probe get URL             print the answer, or fail within three seconds
//	probe resolve NAME        print the addresses of a name
//	probe write FILE          create a file
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

const patience = 3 * time.Second

func main() {
	log.SetFlags(0)
	if len(os.Args) < 2 {
		log.Fatal("usage: probe identity | serve PORT | get URL | resolve NAME | write FILE")
	}
	if err := run(os.Args[1], strings.Join(os.Args[2:], " ")); err != nil {
		log.Fatal(err)
	}
}

func run(verb, object string) error {
	switch verb {
	case "identity":
		return writeIdentity(os.Stdout)
	case "serve":
		return http.ListenAndServe(":"+object, http.HandlerFunc(
			func(answer http.ResponseWriter, _ *http.Request) {
				answer.Header().Set("Content-Type", "application/json")
				writeIdentity(answer)
			}))
	case "get":
		return get(object)
	case "resolve":
		return resolve(object)
	case "write":
		return os.WriteFile(object, []byte("written\n"), 0o666)
	}
	return fmt.Errorf("probe: %s is not a verb", verb)
}

func writeIdentity(to io.Writer) error {
	groups, err := os.Getgroups()
	if err != nil {
		return err
	}
	return json.NewEncoder(to).Encode(map[string]any{
		"uid": os.Getuid(), "gid": os.Getgid(), "groups": groups,
	})
}

func get(url string) error {
	client := http.Client{Timeout: patience}
	answer, err := client.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, err = io.Copy(os.Stdout, answer.Body)
	return err
}

func resolve(name string) error {
	limited, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(limited, name)
	if err != nil {
		return err
	}
	fmt.Println(strings.Join(addresses, "\n"))
	return nil
}
