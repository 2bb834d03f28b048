// SPDX-License-Identifier: Apache-2.0
// Opens a session from C++, says what it is, and makes a map over it.
//
//   describe_session GRANT [TRACEPOINT]
#include <linux/bpf.h>

#include <bpfwarden/bpfwarden.hpp>
#include <iostream>

static int report(const bpfw::Error &error)
{
	std::cerr << "describe_session: " << error.text << '\n';
	return 1;
}

int main(int argc, char **argv)
{
	if (argc != 2 && argc != 3) {
		std::cerr << "usage: describe_session GRANT [TRACEPOINT]\n";
		return 2;
	}
	auto session = bpfw::Session::open(argv[1]);
	if (!session)
		return report(session.error());

	bpf_attr attr{};
	attr.map_type = BPF_MAP_TYPE_ARRAY;
	attr.key_size = 4;
	attr.value_size = 8;
	attr.max_entries = 1;
	const auto made = session->bpf(BPF_MAP_CREATE, attr);
	if (!made)
		return report(made.error());
	const bpfw::Fd map(*made);

	const auto description = session->describe();
	if (!description)
		return report(description.error());
	std::cout << "session " << description->session << " of grant " << description->grant << " ("
		  << description->revision << ")\n";
	if (description->lifetime_ms != 0)
		std::cout << "  ends in " << description->lifetime_ms / 1000 << " s\n";
	for (const auto &usage : description->usage) {
		std::cout << "  " << usage.what << ": " << usage.used;
		if (usage.limit != 0)
			std::cout << " of " << usage.limit;
		std::cout << '\n';
	}
	if (argc == 3) {
		const auto id = session->tracepoint_id(argv[2]);
		if (!id)
			return report(id.error());
		std::cout << "tracepoint " << argv[2] << " is " << *id << '\n';
	}
	return 0;
}
