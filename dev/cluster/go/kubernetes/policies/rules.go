package main

import (
	"fmt"
	"slices"
	"strings"

	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// state is all that rules are made from.
type state struct {
	pods       []*core.Pod // with an address of their own
	namespaces map[string]labels.Set
	policies   []*networking.NetworkPolicy
}

// direction is ingress or egress, seen from the pod that a policy selects.
type direction struct {
	policyType networking.PolicyType
	self, peer string // nftables' names of the pod's own and of its peer's address
}

var (
	ingress = direction{networking.PolicyTypeIngress, "daddr", "saddr"}
	egress  = direction{networking.PolicyTypeEgress, "saddr", "daddr"}
)

// sort makes the rules independent of the order in which the lists came.
func (s *state) sort() {
	slices.SortFunc(s.pods, func(a, b *core.Pod) int {
		return strings.Compare(string(a.UID), string(b.UID))
	})
	s.policies = slices.Clone(s.policies)
	slices.SortFunc(s.policies, func(a, b *networking.NetworkPolicy) int {
		return strings.Compare(string(a.UID), string(b.UID))
	})
}

func hasOwnAddress(pod *core.Pod) bool {
	ended := pod.Status.Phase == core.PodSucceeded || pod.Status.Phase == core.PodFailed
	return pod.Status.PodIP != "" && !pod.Spec.HostNetwork && !ended
}

// ruleset replaces the node's table in one transaction.
//
// A selected pod gets a chain for each direction that ends in drop. Its rules return, they do not
// accept: both ends of a connection within the node have a say, first the sender's, then the
// receiver's.
func (s *state) ruleset(node string) string {
	var chains strings.Builder
	var senders, receivers []string
	for _, pod := range s.pods {
		if pod.Spec.NodeName != node {
			continue
		}
		address := pod.Status.PodIP
		for _, way := range []direction{ingress, egress} {
			rules, isolated := s.rules(pod, way)
			if !isolated {
				continue
			}
			chain := strings.ToLower(string(way.policyType)) + "_" + strings.ReplaceAll(address, ".", "_")
			fmt.Fprintf(&chains, "  chain %s {\n%s    counter drop\n  }\n", chain, indented(rules))
			jump := address + " : jump " + chain
			if way == ingress {
				receivers = append(receivers, jump)
			} else {
				senders = append(senders, jump)
			}
		}
	}
	established := "    ct state established,related accept\n"
	fromPods, toPods := verdicts("saddr", senders), verdicts("daddr", receivers)
	// To the node's own addresses (input) only what pods send is judged: the node is no pod.
	return "table ip policies\ndelete table ip policies\ntable ip policies {\n" + chains.String() +
		"  chain forward {\n    type filter hook forward priority filter; policy accept;\n" +
		established + fromPods + toPods + "  }\n" +
		"  chain input {\n    type filter hook input priority filter; policy accept;\n" +
		established + fromPods + "  }\n}\n"
}

func verdicts(side string, jumps []string) string {
	if len(jumps) == 0 {
		return ""
	}
	return "    ip " + side + " vmap { " + strings.Join(jumps, ", ") + " }\n"
}

func indented(rules []string) string {
	var text strings.Builder
	for _, rule := range rules {
		text.WriteString("    " + rule + "return\n")
	}
	return text.String()
}

// rules are the matches that let a pod's traffic pass, and whether any policy selects the pod.
func (s *state) rules(pod *core.Pod, way direction) (rules []string, isolated bool) {
	for _, policy := range s.policies {
		if policy.Namespace != pod.Namespace || !slices.Contains(policy.Spec.PolicyTypes, way.policyType) ||
			!matches(&policy.Spec.PodSelector, pod.Labels) {
			continue
		}
		isolated = true
		if way == ingress {
			for _, rule := range policy.Spec.Ingress {
				rules = append(rules, s.allowed(pod, way, rule.From, rule.Ports)...)
			}
		} else {
			for _, rule := range policy.Spec.Egress {
				rules = append(rules, s.allowed(pod, way, rule.To, rule.Ports)...)
			}
		}
	}
	return rules, isolated
}

func (s *state) allowed(
	pod *core.Pod, way direction, peers []networking.NetworkPolicyPeer, ports []networking.NetworkPolicyPort,
) (rules []string) {
	// Names of ports are the receiver's: the pod's own for ingress, the peer's for egress.
	receiver := func(peer *core.Pod) *core.Pod {
		if way == ingress {
			return pod
		}
		return peer
	}
	if len(peers) == 0 {
		return portMatches(ports, receiver(nil))
	}
	for _, peer := range peers {
		if peer.IPBlock != nil {
			if match := blockMatch(way.peer, peer.IPBlock); match != "" {
				for _, port := range portMatches(ports, receiver(nil)) {
					rules = append(rules, match+port)
				}
			}
			continue
		}
		for _, other := range s.selected(pod.Namespace, peer) {
			for _, port := range portMatches(ports, receiver(other)) {
				rules = append(rules, "ip "+way.peer+" "+other.Status.PodIP+" "+port)
			}
		}
	}
	return rules
}

// selected are the pods that a peer names, seen from a policy's namespace.
func (s *state) selected(namespace string, peer networking.NetworkPolicyPeer) (pods []*core.Pod) {
	for _, pod := range s.pods {
		inNamespace := pod.Namespace == namespace
		if peer.NamespaceSelector != nil {
			inNamespace = matches(peer.NamespaceSelector, s.namespaces[pod.Namespace])
		}
		if inNamespace && (peer.PodSelector == nil || matches(peer.PodSelector, pod.Labels)) {
			pods = append(pods, pod)
		}
	}
	return pods
}

func matches(selector *meta.LabelSelector, set labels.Set) bool {
	parsed, err := meta.LabelSelectorAsSelector(selector)
	return err == nil && parsed.Matches(set)
}

func blockMatch(side string, block *networking.IPBlock) string {
	if strings.Contains(block.CIDR, ":") {
		return "" // IPv6: no such pod here
	}
	match := "ip " + side + " " + block.CIDR + " "
	if len(block.Except) > 0 {
		match += "ip " + side + " != { " + strings.Join(block.Except, ", ") + " } "
	}
	return match
}

// portMatches is one match for each port; no ports at all are one match of everything.
func portMatches(ports []networking.NetworkPolicyPort, receiver *core.Pod) (all []string) {
	if len(ports) == 0 {
		return []string{""}
	}
	for _, port := range ports {
		protocol := core.ProtocolTCP
		if port.Protocol != nil {
			protocol = *port.Protocol
		}
		name := strings.ToLower(string(protocol))
		switch {
		case port.Port == nil:
			all = append(all, "meta l4proto "+name+" ")
		case port.Port.Type == intstr.Int && port.EndPort != nil:
			all = append(all, fmt.Sprintf("%s dport %d-%d ", name, port.Port.IntVal, *port.EndPort))
		case port.Port.Type == intstr.Int:
			all = append(all, fmt.Sprintf("%s dport %d ", name, port.Port.IntVal))
		default:
			if number := named(receiver, protocol, port.Port.StrVal); number != 0 {
				all = append(all, fmt.Sprintf("%s dport %d ", name, number))
			}
		}
	}
	return all
}

// named is the number of a receiver's port of this name, 0 if it has none.
func named(receiver *core.Pod, protocol core.Protocol, name string) int32 {
	if receiver == nil {
		return 0
	}
	for _, container := range receiver.Spec.Containers {
		for _, port := range container.Ports {
			if port.Name == name && (port.Protocol == protocol || port.Protocol == "" && protocol == core.ProtocolTCP) {
				return port.ContainerPort
			}
		}
	}
	return 0
}
