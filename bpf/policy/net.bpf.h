/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Addresses. */
#ifndef BPFWARDEN_POLICY_NET_BPF_H
#define BPFWARDEN_POLICY_NET_BPF_H

#include "decide.bpf.h"

#define AF_UNSPEC 0
#define AF_INET   BW_AF_INET
#define AF_INET6  BW_AF_INET6

struct bw_contact {
	struct bw_view *view;
	const struct bw_address *address;
	struct bw_rights rights;
	__u64 op;
	__u32 rule[4]; /* the first of each effect */
};

/* One step of bw_add_net(). */
static long bw_net_rule(__u64 index, struct bw_contact *contact)
{
	const struct bw_view *view = contact->view;
	const struct bw_image_tail *tail;
	const struct bw_net_rule *rule;
	__u32 effect;

	if (index >= view->domain->net_count)
		return 1;
	tail = bw_line(view->image, 1);
	if (!tail)
		return 1;
	rule = bw_line(view->image, tail->net_line + view->domain->net_first + index);
	if (!rule)
		return 1;
	if (!(rule->ops & contact->op) || !bw_net_matches(rule, contact->address, contact->op))
		return 0;
	effect = rule->effect;
	if (effect == BW_EFFECT_ALLOW)
		contact->rights.allow |= rule->ops;
	else if (effect == BW_EFFECT_DENY)
		contact->rights.deny |= rule->ops;
	else if (effect == BW_EFFECT_WARN)
		contact->rights.warn |= rule->ops;
	else
		contact->rights.audit |= rule->ops;
	if (!contact->rule[effect & 3])
		contact->rule[effect & 3] = rule->number;
	return 0;
}

static __noinline int bw_contacts(struct bw_view *view, struct bw_address *address, __u64 op, __u32 hook)
{
	struct bw_contact contact = {.view = view, .address = address, .op = op};
	struct bw_object object = {.address = address, .hook = hook, .ops = op};
	struct bw_outcome outcome;

	bw_address_normal(address, op);
	bpf_loop(BW_MAX_NET_RULES, bw_net_rule, &contact, 0);
	outcome = bw_decide(&contact.rights, view->domain->default_deny, view->domain->default_warn, view->domain->default_audit, op);
	object.set = BW_RULE_KNOWN | (outcome.denied	? contact.rule[BW_EFFECT_DENY]
				      : outcome.warned ? contact.rule[BW_EFFECT_WARN]
						       : contact.rule[BW_EFFECT_AUDIT]);
	return bw_judge(view, &object, &contact.rights);
}

/* FALLBACK: the socket's family, for addresses that say none. */
static __always_inline void bw_read_address(struct bw_address *address, void *from, __u32 fallback)
{
	__u16 family = 0, port = 0;

	bpf_probe_read_kernel(&family, sizeof(family), from);
	address->family = family ? family : fallback;
	if (address->family == AF_INET || address->family == AF_INET6) {
		bpf_probe_read_kernel(&port, sizeof(port), from + 2);
		address->port = bpf_ntohs(port);
	}
	if (address->family == AF_INET)
		bpf_probe_read_kernel(address->bytes, 4, from + 4);
	else if (address->family == AF_INET6)
		bpf_probe_read_kernel(address->bytes, 16, from + 8);
}

SEC("?lsm/socket_create")
int BPF_PROG(socket_create, int family, int type, int protocol, int kernel)
{
	struct bw_address address = {};
	struct bw_view view;

	if (kernel || !bw_confined(&view))
		return 0;
	address.family = family;
	return bw_contacts(&view, &address, BW_OP_SOCKET, BW_HOOK_SOCKET_CREATE);
}

static __always_inline int bw_contact_address(struct socket *socket, void *from, __u64 op, __u32 hook)
{
	struct bw_address address = {};
	struct bw_view view;

	if (!bw_confined(&view))
		return 0;
	bw_read_address(&address, from, BPF_CORE_READ(socket, sk, __sk_common.skc_family));
	return bw_contacts(&view, &address, op, hook);
}

SEC("?lsm/socket_bind")
int BPF_PROG(socket_bind, struct socket *socket, struct sockaddr *address)
{
	return bw_contact_address(socket, address, BW_OP_BIND, BW_HOOK_SOCKET_BIND);
}

/* Of AF_UNSPEC, it ends a connection. */
SEC("?lsm/socket_connect")
int BPF_PROG(socket_connect, struct socket *socket, struct sockaddr *address)
{
	__u16 family = 0;

	bpf_probe_read_kernel(&family, sizeof(family), address);
	if (family == AF_UNSPEC)
		return 0;
	return bw_contact_address(socket, address, BW_OP_CONNECT, BW_HOOK_SOCKET_CONNECT);
}

SEC("?lsm/socket_sendmsg")
int BPF_PROG(socket_sendmsg, struct socket *socket, struct msghdr *message)
{
	void *name = BPF_CORE_READ(message, msg_name);

	if (!name)
		return 0;
	return bw_contact_address(socket, name, BW_OP_CONNECT, BW_HOOK_SOCKET_SENDMSG);
}

static __always_inline int bw_contact_own(struct socket *socket, __u64 op, __u32 hook)
{
	struct bw_address address = {};
	struct bw_view view;
	struct sock *sk;

	if (!bw_confined(&view))
		return 0;
	sk = BPF_CORE_READ(socket, sk);
	address.family = BPF_CORE_READ(sk, __sk_common.skc_family);
	address.port = BPF_CORE_READ(sk, __sk_common.skc_num);
	if (address.family == AF_INET)
		BPF_CORE_READ_INTO((__u32 *)address.bytes, sk, __sk_common.skc_rcv_saddr);
	else if (address.family == AF_INET6)
		BPF_CORE_READ_INTO((struct in6_addr *)address.bytes, sk, __sk_common.skc_v6_rcv_saddr);
	else
		address.port = 0;
	return bw_contacts(&view, &address, op, hook);
}

SEC("?lsm/socket_listen")
int BPF_PROG(socket_listen, struct socket *socket)
{
	return bw_contact_own(socket, BW_OP_LISTEN, BW_HOOK_SOCKET_LISTEN);
}

SEC("?lsm/socket_accept")
int BPF_PROG(socket_accept, struct socket *socket)
{
	return bw_contact_own(socket, BW_OP_ACCEPT, BW_HOOK_SOCKET_ACCEPT);
}
#endif
