// SPDX-License-Identifier: Apache-2.0
#include "grant/danger.hpp"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "grant/facts.hpp"

namespace bpfwarden::grant {

std::string_view name_of(Way way) {
    static constexpr std::string_view names[] = {"token", "session", "notifier"};
    return names[static_cast<std::size_t>(way)];
}

static constexpr Danger dangers[] = {
    {"kernel_read", false, "lets its programs read all memory of the kernel, and with it secrets of every process",
     "bpf_probe_read_kernel, BTF pointers, and with CAP_PERFMON the same helpers in every program type"},
    {"kernel_write", false, "lets its programs change what kernel functions are given and what they return",
     "writable raw tracepoints, fmod_ret programs, bpf_override_return"},
    {"user_memory_write", false, "lets its programs overwrite the memory of any process in whose context they run",
     "bpf_probe_write_user"},
    {"send_signal", false, "lets its programs kill or stop any process in whose context they run",
     "bpf_send_signal and bpf_send_signal_thread ask for no permission over the process"},
    {"lsm", false, "lets its programs refuse any operation of any process, root's included",
     "LSM programs take part in every security decision"},
    {"struct_ops", false, "lets its programs replace parts of the kernel for everyone: the scheduler, TCP, HID, queues",
     "struct_ops maps register kernel operations"},
    {"ext", false, "lets its programs replace functions of other BPF programs",
     "ext programs run in place of a function of the target, with the target's rights"},
    {"syscall", false, "lets its programs call bpf() from inside the kernel, past whoever checks the calls",
     "bpf_sys_bpf in programs of type syscall"},
    {"namespace_admin", false, "holds CAP_SYS_ADMIN, which stands in for every other capability of BPF",
     "bpf_token_capable takes CAP_SYS_ADMIN in place of any capability"},
    {"host_network", true, "lets its programs see, change and drop packets of the host",
     "XDP, tc, netfilter, sk_lookup and flow dissector programs act on a whole network namespace"},
    {"host_cgroups", true, "lets its programs act on every process of the host, by its root control group",
     "a cgroup directory opened for reading is enough to attach to it (tried on 6.12 and 7.2)"},
};

std::span<const Danger> all_dangers() { return dangers; }

const Danger* danger(std::string_view name) {
    const auto at = std::ranges::find(dangers, name, &Danger::name);
    return at == std::end(dangers) ? nullptr : at;
}

namespace {

// Finds, per danger, the first written value that causes it.
class Finder {
  public:
    explicit Finder(const Resolved& grant) : grant_(grant) {}

    // `danger` is needed for each of `values` of `dimension` that the grant allows.
    void add(std::string_view name, Dimension dimension, std::initializer_list<std::string_view> values) {
        for (const auto value : values) {
            const auto& allowed = grant_.of(dimension).values;
            const auto at = allowed.find(value);
            if (at != allowed.end() && at->second.written)
                add(name, at->second.at, fmt::format("{} {}", noun_of(dimension), value));
        }
    }

    void add(std::string_view name, const Position& at, std::string what) {
        const auto* found = danger(name);
        const auto known = std::ranges::find(needs_, found, &DangerNeed::danger);
        if (known == needs_.end())
            needs_.push_back({found, at, std::move(what), grant_.acknowledges(name)});
        else if (at.file == known->at.file &&
                 std::tie(at.line, at.column) < std::tie(known->at.line, known->at.column)) {
            known->at = at;
            known->what = std::move(what);
        }
    }

    std::vector<DangerNeed> take() {
        std::ranges::sort(needs_, {}, [](const DangerNeed& need) { return need.danger; });
        return std::move(needs_);
    }

  private:
    const Resolved& grant_;
    std::vector<DangerNeed> needs_;
};

}  // namespace

static bool allows_type(const Resolved& grant, auto condition) {
    return std::ranges::any_of(all_program_facts(), [&](const ProgramFacts& facts) {
        return condition(facts) && grant.of(Dimension::program_types).wrote(facts.type);
    });
}

std::vector<DangerNeed> dangers_of(const Resolved& grant) {
    using enum Dimension;
    Finder find(grant);
    find.add("kernel_read", program_types,
             {"kprobe", "tracepoint", "raw_tracepoint", "raw_tracepoint_writable", "perf_event", "tracing", "lsm"});
    // bpf_base_func_proto: with CAP_PERFMON, bpf_probe_read_kernel is there for (nearly) every program type.
    find.add("kernel_read", capabilities, {"perfmon", "sys_admin"});
    find.add("kernel_write", program_types, {"raw_tracepoint_writable"});
    find.add("kernel_write", attach_types, {"modify_return"});
    // These helpers exist for tracing programs alone, override_return for kprobes: `any` in an XDP grant needs nothing.
    if (grant.of(program_types).wrote("kprobe")) find.add("kernel_write", helpers, {"override_return"});
    if (allows_type(grant, [](const ProgramFacts& facts) { return facts.tracing; })) {
        find.add("user_memory_write", helpers, {"probe_write_user"});
        find.add("send_signal", helpers, {"send_signal", "send_signal_thread"});
    }
    find.add("lsm", program_types, {"lsm"});
    find.add("struct_ops", program_types, {"struct_ops"});
    // A struct_ops map alone does nothing: it takes programs of that type, so `any` among map types is no danger yet.
    find.add("ext", program_types, {"ext"});
    find.add("syscall", program_types, {"syscall"});
    find.add("namespace_admin", capabilities, {"sys_admin"});
    return find.take();
}

static void add_reach(Finder& find, std::string_view name, Reach reach) {
    for (const auto& facts : all_program_facts())
        if (facts.reach == reach) find.add(name, Dimension::program_types, {facts.type});
    if (reach == Reach::cgroup) find.add(name, Dimension::attach_types, {"lsm_cgroup"});
}

std::vector<DangerNeed> use_time_dangers(const Resolved& grant, const UseContext& context) {
    Finder find(grant);
    if (context.host_network) add_reach(find, "host_network", Reach::network);
    // The broker attaches to the control groups that a grant names; without any named, that is all of the host's.
    const bool open = context.way == Way::token ? context.host_cgroups : grant.of(Target::cgroups).empty();
    if (open) add_reach(find, "host_cgroups", Reach::cgroup);
    return find.take();
}

bool may_need(const Resolved& grant, const Danger& danger) {
    Finder find(grant);
    add_reach(find, "host_network", Reach::network);
    add_reach(find, "host_cgroups", Reach::cgroup);
    const auto needs = danger.use_time ? find.take() : dangers_of(grant);
    return std::ranges::any_of(needs, [&](const DangerNeed& need) { return need.danger == &danger; });
}

}  // namespace bpfwarden::grant
