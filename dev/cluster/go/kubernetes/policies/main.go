// policies enforces NetworkPolicy for the pods of one node, for tests only.
//
//	policies KUBECONFIG NODE
//
// It watches pods, namespaces and policies and writes one nftables table. It knows IPv4 and what
// the tests of this project use; it is no proof of conformance, and a new pod is open until its
// rules are written (well below a second). A real cluster has a network plugin for this.
package main

import (
	"context"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	listcore "k8s.io/client-go/listers/core/v1"
	listnetworking "k8s.io/client-go/listers/networking/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// settle is how long changes are gathered before rules are written again.
const settle = 20 * time.Millisecond

// retry is how long to wait after nft refused rules.
const retry = time.Second

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: policies KUBECONFIG NODE")
	}
	stopped, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := enforce(stopped, os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func enforce(stopped context.Context, kubeconfig, node string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	source := lister{
		pods:       factory.Core().V1().Pods().Lister(),
		namespaces: factory.Core().V1().Namespaces().Lister(),
		policies:   factory.Networking().V1().NetworkPolicies().Lister(),
	}
	changed := make(chan struct{}, 1)
	notify := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	handler := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { notify() },
		UpdateFunc: func(any, any) { notify() },
		DeleteFunc: func(any) { notify() },
	}
	for _, informer := range []cache.SharedIndexInformer{
		factory.Core().V1().Pods().Informer(),
		factory.Core().V1().Namespaces().Informer(),
		factory.Networking().V1().NetworkPolicies().Informer(),
	} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return err
		}
	}
	factory.Start(stopped.Done())
	factory.WaitForCacheSync(stopped.Done())

	written := ""
	for {
		select {
		case <-stopped.Done():
			return nil
		case <-changed:
		}
		state, err := source.state()
		if err != nil {
			return err
		}
		if rules := state.ruleset(node); rules != written {
			if err := write(rules); err != nil {
				log.Printf("%v; the rules before stay", err)
				time.AfterFunc(retry, notify)
			} else {
				written = rules
			}
		}
		time.Sleep(settle)
	}
}

type lister struct {
	pods       listcore.PodLister
	namespaces listcore.NamespaceLister
	policies   listnetworking.NetworkPolicyLister
}

func (l lister) state() (state, error) {
	pods, err := l.pods.List(labels.Everything())
	if err != nil {
		return state{}, err
	}
	namespaces, err := l.namespaces.List(labels.Everything())
	if err != nil {
		return state{}, err
	}
	policies, err := l.policies.List(labels.Everything())
	if err != nil {
		return state{}, err
	}
	return newState(pods, namespaces, policies), nil
}

func newState(
	pods []*core.Pod, namespaces []*core.Namespace, policies []*networking.NetworkPolicy,
) state {
	s := state{namespaces: map[string]labels.Set{}}
	for _, namespace := range namespaces {
		s.namespaces[namespace.Name] = namespace.Labels
	}
	for _, pod := range pods {
		if hasOwnAddress(pod) {
			s.pods = append(s.pods, pod)
		}
	}
	s.policies = policies
	s.sort()
	return s
}

func write(rules string) error {
	nft := exec.Command("nft", "-f", "-")
	nft.Stdin = strings.NewReader(rules)
	if output, err := nft.CombinedOutput(); err != nil {
		return &nftError{err, string(output), rules}
	}
	return nil
}

type nftError struct {
	cause         error
	output, rules string
}

func (e *nftError) Error() string {
	return "nft: " + e.cause.Error() + ": " + e.output + "\n" + e.rules
}
