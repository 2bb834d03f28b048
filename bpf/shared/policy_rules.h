/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The rest of the evaluator, for what is no path: files by what they are, capabilities, addresses, other domains, ways into a domain; and
 * which rule it was. Compiled into the BPF programs and into `bpfwarden policy explain`, after policy_match.h.
 */
#ifndef BPFWARDEN_POLICY_RULES_H
#define BPFWARDEN_POLICY_RULES_H

#include "policy_match.h"

static __always_inline const struct bw_set *bw_set_at(bw_image_t image, const struct bw_image_tail *tail, __u32 set)
{
	const struct bw_set *line = (const struct bw_set *)bw_line(image, tail->set_line + (set >> 2));

	return line ? &line[set & 3] : 0;
}

/* One of the lines of a domain: 0 paths (its beginning), 1 plain, 2 capabilities, 3 other domains. */
static __always_inline const void *bw_domain_line(bw_image_t image, const struct bw_image_head *head, __u32 domain, __u32 line)
{
	return domain < head->domains ? bw_line(image, head->domain_line + domain * BW_DOMAIN_LINES + line) : 0;
}
struct bw_domain_peers { /* line 3 */
	__u32 cells;
	__u32 sets;
	__u32 plain_set;
	__u32 capability_set;
};

static __always_inline __u32 bw_identity_hash(__u32 device, __u64 inode)
{
	__u64 key[3] = {inode, device, 0};

	return bw_edge_hash(0, 0, key);
}

/* The set of rules and ways in that are about this very file; 0: none. DEVICE: MAJOR << 20 | MINOR. */
static __always_inline __u32 bw_identity_set(bw_image_t image, const struct bw_image_tail *tail, __u32 device, __u64 inode,
					     __u32 generation)
{
	__u32 hash = bw_identity_hash(device, inode);
	__u32 bucket = hash & tail->identity_mask;

	if (!tail->identities)
		return 0;
	for (int turn = 0; turn < 2; turn++) {
		const struct bw_identity *files = (const struct bw_identity *)bw_line(image, tail->identity_line + bucket);

		if (!files)
			return 0;
		for (int i = 0; i < 2; i++)
			if (files[i].set && files[i].device == device && files[i].inode == inode &&
			    files[i].inode_generation == generation)
				return files[i].set;
		bucket = bw_edge_second(hash, tail->identity_mask);
	}
	return 0;
}

/* A digest or label as it was found. From `algorithm` on it is what the kernel calls struct fsverity_digest. */
struct bw_pin_value {
	__u32 reserved;
	__u16 algorithm;
	__u16 length;    /* 0: the file has none */
	__u64 words[8];  /* zeros behind it */
};

static __always_inline __u32 bw_pin_hash(__u32 kind, const __u64 *words)
{
	return bw_edge_hash(bw_edge_hash(kind, 0, words), 0, words + 3);
}

/* What the image knows by this value; null: nothing. */
static __always_inline const struct bw_pin *bw_pin_find(bw_image_t image, const struct bw_image_pins *pins, __u32 kind,
							const struct bw_pin_value *value)
{
	__u32 hash = bw_pin_hash(kind, value->words);
	__u32 bucket = hash & pins->mask;

	if (!value->length)
		return 0;
	BW_KEEP_LOOP
	for (int i = 0; i < 4; i++) {
		const struct bw_pin *pin;
		__u64 different;

		if (i == 2)
			bucket = bw_edge_second(hash, pins->mask);
		pin = (const struct bw_pin *)bw_line(image, pins->line + bucket * 2 + (i & 1));
		if (!pin)
			return 0;
		different = (pin->words[0] ^ value->words[0]) | (pin->words[1] ^ value->words[1]) |
			    (pin->words[2] ^ value->words[2]) | (pin->words[3] ^ value->words[3]) |
			    (pin->words[4] ^ value->words[4]) | (pin->words[5] ^ value->words[5]);
		if (pin->number && pin->kind == kind && pin->algorithm == value->algorithm && pin->length == value->length && !different)
			return pin;
	}
	return 0;
}

/* Whether the file is all that a way in wants it to be. NUMBERS: of the values that it has. */
static __always_inline int bw_pins_fit(bw_image_t image, const struct bw_entry *entry, const __u32 *numbers)
{
	const struct bw_entry_pins *wanted = (const struct bw_entry_pins *)bw_line(image, entry->pins);

	if (!wanted)
		return 0;
	for (int kind = 0; kind < BW_PIN_KINDS; kind++)
		if (wanted->numbers[kind] && wanted->numbers[kind] != numbers[kind])
			return 0;
	return 1;
}

/* What a domain's rules say about one capability, as rights of BW_OP_CAPABLE. */
static __always_inline void bw_add_capability(struct bw_rights *rights, const struct bw_cell *capabilities, __u32 capability)
{
	if (capability > 63)
		return;
	if (capabilities->allow >> capability & 1)
		rights->allow |= BW_OP_CAPABLE;
	if (capabilities->deny >> capability & 1)
		rights->deny |= BW_OP_CAPABLE;
	if (capabilities->warn >> capability & 1)
		rights->warn |= BW_OP_CAPABLE;
	if (capabilities->audit >> capability & 1)
		rights->audit |= BW_OP_CAPABLE;
}

/* What a domain's rules say about another domain; null: a broken image. */
static __always_inline const struct bw_cell *bw_peer_cell(bw_image_t image, const struct bw_image_head *head, __u32 domain,
							  __u32 peer)
{
	const struct bw_domain_peers *peers = (const struct bw_domain_peers *)bw_domain_line(image, head, domain, 3);

	return peers && peer < head->domains ? (const struct bw_cell *)bw_line(image, head->cell_line + peers->cells + peer) : 0;
}

/* An address as rules see it. */
struct bw_address {
	union {
		__u8 bytes[16]; /* network order; zeros behind an IPv4 one */
		__u64 words[2];
	};
	__u16 family;
	__u16 port;     /* host order */
};

#define BW_AF_INET  2
#define BW_AF_INET6 10

/*
 * One address has one form, else a rule about it could be gone around: ::ffff:10.0.0.1 is 10.0.0.1, and to connect to the address of
 * nobody (0.0.0.0, ::) is to connect to this machine. OPS: what is done.
 */
static __always_inline void bw_address_normal(struct bw_address *address, __u64 ops)
{
	__u8 *bytes = address->bytes;
	int zeros = 1, v6 = address->family == BW_AF_INET6;

	if (!v6 && address->family != BW_AF_INET)
		return;
	for (int i = 0; i < 10; i++)
		zeros &= !bytes[i];
	if (v6 && zeros && bytes[10] == 0xff && bytes[11] == 0xff) {
		for (int i = 0; i < 4; i++)
			bytes[i] = bytes[12 + i];
		for (int i = 4; i < 16; i++)
			bytes[i] = 0;
		address->family = BW_AF_INET;
		v6 = 0;
	}
	if (!(ops & BW_OP_CONNECT))
		return;
	if (!v6 && !bytes[0] && !bytes[1] && !bytes[2] && !bytes[3]) {
		bytes[0] = 127;
		bytes[3] = 1;
	} else if (v6 && zeros && !bytes[10] && !bytes[11] && !bytes[12] && !bytes[13] && !bytes[14] && !bytes[15]) {
		bytes[15] = 1;
	}
}

static __always_inline int bw_net_matches(const struct bw_net_rule *rule, const struct bw_address *address, __u64 op)
{
	if (rule->family != BW_NET_ANY && rule->family != address->family)
		return 0;
	if (op == BW_OP_SOCKET)
		return 1;
	if (address->port < rule->port_first || address->port > rule->port_last)
		return 0;
	/* Without a branch for each byte: a verifier would go all ways. */
	return !(((address->words[0] ^ rule->address_words[0]) & rule->mask_words[0]) |
		 ((address->words[1] ^ rule->address_words[1]) & rule->mask_words[1]));
}

static __always_inline __u64 bw_if(int condition, __u64 bits)
{
	return condition ? bits : 0;
}

/*
 * What a domain's rules say about OP on a (normal) address. TOLD, if not null: the number of the first rule with each effect. Returns 0,
 * or -1 for a broken image.
 */
struct bw_told {
	__u32 rules[4]; /* by BW_EFFECT_*; 0: none */
};
static __always_inline int bw_add_net(bw_image_t image, const struct bw_image_tail *tail, const struct bw_domain *domain,
				      const struct bw_address *address, __u64 op, struct bw_rights *rights, struct bw_told *told)
{
	for (__u32 i = 0; i < BW_MAX_NET_RULES; i++) {
		const struct bw_net_rule *rule;
		__u32 effect;

		if (i >= domain->net_count)
			break;
		rule = (const struct bw_net_rule *)bw_line(image, tail->net_line + domain->net_first + i);
		if (!rule)
			return -1;
		if (!(rule->ops & op) || !bw_net_matches(rule, address, op))
			continue;
		effect = rule->effect;
		rights->allow |= bw_if(effect == BW_EFFECT_ALLOW, op);
		rights->deny |= bw_if(effect == BW_EFFECT_DENY, op);
		rights->warn |= bw_if(effect == BW_EFFECT_WARN, op);
		rights->audit |= bw_if(effect == BW_EFFECT_AUDIT, op);
		if (told && !told->rules[effect & 3])
			told->rules[effect & 3] = rule->number;
	}
	return 0;
}

/*
 * Which rule of SET says EFFECT about OP to DOMAIN: its number, or 0 if none of the first BW_MAX_TOLD does. For BW_OP_CAPABLE the rule must
 * be about CAPABILITY.
 */
static __always_inline __u32 bw_rule_of(bw_image_t image, const struct bw_image_tail *tail, __u32 set, __u32 domain, __u64 op,
					__u32 effect, __u32 capability)
{
	const struct bw_set *of = bw_set_at(image, tail, set);
	__u32 first, count;

	if (!of)
		return 0;
	first = of->first_rule;
	count = of->rule_count;
	for (__u32 i = 0; i < BW_MAX_TOLD; i++) {
		const struct bw_rule *rule;

		if (i >= count)
			break;
		rule = (const struct bw_rule *)bw_line(image, tail->rule_line + bw_word(image, tail->list_line, first + i, 0));
		if (!rule)
			return 0;
		if (rule->effect != effect || !(rule->ops & op) || !(rule->domains[(domain >> 6) & 3] >> (domain & 63) & 1))
			continue;
		if (op == BW_OP_CAPABLE && !(rule->capabilities >> (capability & 63) & 1))
			continue;
		return rule->number;
	}
	return 0;
}

/* Whether SET lists this way in: by halves, as what is listed ascends and is at most BW_MAX_ENTRIES. */
static __always_inline int bw_holds_entry(bw_image_t image, const struct bw_image_tail *tail, __u32 set, __u32 entry)
{
	const struct bw_set *of = set ? bw_set_at(image, tail, set) : 0;
	__u32 first, low = 0, high;

	if (!of)
		return 0;
	first = of->first_entry;
	high = of->entry_count;
	for (int i = 0; i < 7; i++) {
		__u32 middle = (low + high) / 2, listed;

		if (low >= high)
			break;
		listed = bw_word(image, tail->list_line, first + middle, BW_STEP_BROKEN);
		if (listed == entry)
			return 1;
		if (listed < entry)
			low = middle + 1;
		else
			high = middle;
	}
	return 0;
}

/* An exec, as ways in see it. */
struct bw_exec {
	__u32 domain;       /* of the process until now */
	__u32 file_set;     /* of the executable's path; 0 if it cannot be told */
	__u32 identity_set; /* of the executable */
	__u32 cgroup_set;   /* of the path of the control group, walked from tail->cgroups */
	__u32 uid, gid;     /* the real ones */
	__u32 userns_init;  /* 1: the process is in the initial user namespace */
};

/*
 * BY_CGROUP, BY_IDENTITY: whether these sets of EXEC list the entry (bw_holds_entry). BY_PINS: bw_pins_fit(). Each is looked at only where
 * the entry asks for that.
 */
static __always_inline int bw_entry_fits(const struct bw_entry *entry, const struct bw_exec *exec, int by_cgroup, int by_identity,
					 int by_pins)
{
	__u32 flags = entry->flags;

	if (!(entry->from[(exec->domain >> 6) & 3] >> (exec->domain & 63) & 1))
		return 0;
	if (exec->uid < entry->uid_first || exec->uid > entry->uid_last || exec->gid < entry->gid_first || exec->gid > entry->gid_last)
		return 0;
	if ((flags & BW_ENTRY_USERNS_INIT && !exec->userns_init) || (flags & BW_ENTRY_USERNS_OTHER && exec->userns_init))
		return 0;
	return !(flags & BW_ENTRY_CGROUP && !by_cgroup) && !(flags & BW_ENTRY_IDENTITY && !by_identity) && !(entry->pins && !by_pins);
}

/* The first way in that fits, of a list in ascending order; BW_NO_ENTRY if none does. PINS: numbers of the file's digests and labels. */
#define BW_NO_ENTRY 0xffffffffu
static __always_inline __u32 bw_first_entry(bw_image_t image, const struct bw_image_tail *tail, __u32 first, __u32 count,
					    const struct bw_exec *exec, const __u32 *pins)
{
	for (__u32 i = 0; i < BW_MAX_ENTRIES; i++) {
		const struct bw_entry *entry;

		if (i >= count)
			break;
		entry = (const struct bw_entry *)bw_line(image, tail->entry_line +
								      bw_word(image, tail->list_line, first + i, 0));
		if (entry && bw_entry_fits(entry, exec, bw_holds_entry(image, tail, exec->cgroup_set, entry->number),
					   bw_holds_entry(image, tail, exec->identity_set, entry->number),
					   entry->pins && bw_pins_fit(image, entry, pins)))
			return entry->number;
	}
	return BW_NO_ENTRY;
}

/* The way in that an exec takes, whatever it is known by: of those that fit the first in the files. BW_NO_ENTRY: the domain stays. */
static __always_inline __u32 bw_enter(bw_image_t image, const struct bw_image_tail *tail, const struct bw_exec *exec, const __u32 *pins)
{
	const struct bw_set *of = exec->file_set ? bw_set_at(image, tail, exec->file_set) : 0;
	__u32 by_file = of ? bw_first_entry(image, tail, of->first_entry, of->entry_count, exec, pins) : BW_NO_ENTRY;
	__u32 by_other = bw_first_entry(image, tail, tail->any_entries, tail->any_entry_count, exec, pins);

	return by_file < by_other ? by_file : by_other;
}
#endif
