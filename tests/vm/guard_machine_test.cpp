// SPDX-License-Identifier: Apache-2.0
// A machine's own work under a seal, by root who is no updater: packages, containers, load, and BPF of every kind that
// the kernel has. Each gives what it gives without a seal, but what docs/guard.md says is refused, and only that is
// told.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "vm/guard_daemon.hpp"
#include "vm/guard_programs.hpp"
#include "vm/one_processor.hpp"

namespace bpfwarden::test {
namespace {

namespace fs = std::filesystem;

const std::string here = place + "machine/", debian = "/bpfwarden/debian/usr/", said = here + "said";

int shell(const std::string& command) {
    write_file(here + "command",
               fmt::format("export LD_LIBRARY_PATH={}lib/x86_64-linux-gnu PATH={}bin:$PATH\ncd {}\nset -e\n{}\n",
                           debian, debian, here, command));
    const int status = std::system(fmt::format("/bin/sh {}command >>{} 2>&1", here, said).c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
// By root who is no updater.
int by_other(const std::string& command) {
    return as_other([&] { return shell(command); });
}

// Installed, upgraded with its configuration kept, and removed with it: by the scripts of a package.
int packages() {
    return by_other(R"(
rm -rf admin root one two one.deb two.deb && mkdir -p admin/updates admin/info root && : >admin/status
for version in one two; do
    mkdir -p $version/DEBIAN $version/usr/share/others $version/etc/others
    echo $version >$version/usr/share/others/version
    echo $version >$version/etc/others/settings
    echo /etc/others/settings >$version/DEBIAN/conffiles
    number=1; if [ $version = two ]; then number=2; fi
    printf 'Package: others\nVersion: %s\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: others\n' $number >$version/DEBIAN/control
    for script in preinst postinst prerm postrm; do
        printf '#!/bin/sh\necho %s $1 >>%s/scripts\n' $script "$PWD" >$version/DEBIAN/$script
        chmod 0755 $version/DEBIAN/$script
    done
    dpkg-deb --build $version $version.deb
done
dpkg="dpkg --force-script-chrootless --force-confold --root=$PWD/root --admindir=$PWD/admin"
: >scripts
$dpkg --install one.deb
test $(cat root/usr/share/others/version) = one
$dpkg --install two.deb
test $(cat root/usr/share/others/version) = two
$dpkg --purge others
test ! -e root/usr/share/others/version
grep -q 'postinst configure' scripts && grep -q 'postrm purge' scripts)");
}

// As container engines do it: namespaces, a root of its own, a control group with a BPF program for devices.
int containers() {
    return by_other(R"(
rm -rf bundle && mkdir -p bundle/rootfs/bin && cp /usr/bin/busybox bundle/rootfs/bin/ && cd bundle
crun spec
sed -i 's/"terminal": true/"terminal": false/; s#"sh"#"/bin/busybox", "sh", "-c", "echo hello >/dev/null; exit 7"#' config.json
status=0
crun --cgroup-manager=cgroupfs run one || status=$?
test $status = 7
sed -i 's/exit 7/exec sleep 1000/' config.json
crun --cgroup-manager=cgroupfs create two
crun start two
crun exec two /bin/busybox true
crun pause two
crun resume two
crun kill two KILL
i=0
until crun delete two; do i=$((i + 1)); test $i -lt 50; sleep 0.1; done)");
}

int load() {
    return by_other(
        "stress-ng --dir 1 --rename 1 --link 1 --ramfs 1 --umount 1 --unshare 1 --kill 1 --ptrace 1 --schedpolicy 1 "
        "--resched 1 --seccomp 1 --timeout 4");
}

// bpftool's own objects from a file to the end of what they were attached to.
int bpftools() {
    return by_other(R"(
pin=/sys/fs/bpf/machine
mkdir -p $pin
bpftool prog load /bpfwarden/examples/packet_counter.bpf.o $pin/program pinmaps $pin/maps
bpftool net attach xdp pinned $pin/program dev lo
bpftool net detach xdp dev lo
bpftool map update pinned $pin/maps/packet_counts key 0 0 0 0 value 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
bpftool map dump pinned $pin/maps/packet_counts
bpftool map create $pin/others type hash key 4 value 4 entries 4 name others
bpftool prog loadall /bpfwarden/examples/file_lock.bpf.o $pin/lock pinmaps $pin/lock autoattach
rm -r $pin/lock $pin/others $pin/maps $pin/program
rmdir $pin)");
}

using Results = std::map<std::string, int>;

// Every type that this kernel has, loaded; and every way to attach to a control group.
Results kinds() {
    Results results;
    for (int type = BPF_PROG_TYPE_SOCKET_FILTER; type <= BPF_PROG_TYPE_NETFILTER; ++type) {
        // libbpf asks for this one as for an fmod_ret program, which is refused; one of LSM is linked below.
        if (type == BPF_PROG_TYPE_LSM) continue;
        results[std::string("load ") + ::libbpf_bpf_prog_type_str(static_cast<bpf_prog_type>(type))] = as_other(
            [&] { return ::libbpf_probe_bpf_prog_type(static_cast<bpf_prog_type>(type), nullptr) == 1 ? 0 : 1; });
    }
    for (int type = BPF_MAP_TYPE_HASH; type <= BPF_MAP_TYPE_ARENA; ++type)
        results[std::string("map ") + ::libbpf_bpf_map_type_str(static_cast<bpf_map_type>(type))] = as_other(
            [&] { return ::libbpf_probe_bpf_map_type(static_cast<bpf_map_type>(type), nullptr) == 1 ? 0 : 1; });
    constexpr std::pair<bpf_prog_type, bpf_attach_type> ways[] = {
        {BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_INGRESS},
        {BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS},
        {BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_CREATE},
        {BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET4_POST_BIND},
        {BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT},
        {BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_BIND},
        {BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP4_SENDMSG},
        {BPF_PROG_TYPE_CGROUP_SOCKOPT, BPF_CGROUP_SETSOCKOPT},
        {BPF_PROG_TYPE_CGROUP_SOCKOPT, BPF_CGROUP_GETSOCKOPT},
        {BPF_PROG_TYPE_CGROUP_DEVICE, BPF_CGROUP_DEVICE},
        {BPF_PROG_TYPE_SOCK_OPS, BPF_CGROUP_SOCK_OPS},
        {BPF_PROG_TYPE_CGROUP_SYSCTL, BPF_CGROUP_SYSCTL},
    };
    const auto cgroup = "/sys/fs/cgroup/machine";
    ::mkdir(cgroup, 0755);
    for (const auto& [type, attach] : ways)
        for (const bool linked : {false, true})
            results[fmt::format("{} {}", linked ? "link" : "attach", ::libbpf_bpf_attach_type_str(attach))] =
                as_other([&] {
                    const UniqueFd at(::open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
                    const auto program = permit_program(type, attach);
                    if (!program) return errno;
                    if (linked) {
                        const UniqueFd link(::bpf_link_create(program.get(), at.get(), attach, nullptr));
                        return link ? 0 : errno;
                    }
                    if (::bpf_prog_attach(program.get(), at.get(), attach, 0)) return errno;
                    return status_of(::bpf_prog_detach2(program.get(), at.get(), attach));
                });
    results["link lsm_cgroup"] = as_other([&] {
        const UniqueFd at(::open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        const auto program = permit_program(BPF_PROG_TYPE_LSM, BPF_LSM_CGROUP, "socket_bind");
        const UniqueFd link(::bpf_link_create(program.get(), at.get(), BPF_LSM_CGROUP, nullptr));
        return link ? 0 : errno;
    });
    for (const auto attach : {BPF_TRACE_FENTRY, BPF_TRACE_FEXIT})
        results[std::string("link ") + ::libbpf_bpf_attach_type_str(attach)] = as_other([&] {
            const auto program = permit_program(BPF_PROG_TYPE_TRACING, attach, "security_syslog");
            const UniqueFd link(::bpf_raw_tracepoint_open(nullptr, program.get()));
            return link ? 0 : errno;
        });
    results["link lsm"] = as_other([&] {
        const auto program = permit_program(BPF_PROG_TYPE_LSM, BPF_LSM_MAC, "syslog");
        const UniqueFd link(::bpf_raw_tracepoint_open(nullptr, program.get()));
        return link ? 0 : errno;
    });
    ::rmdir(cgroup);
    return results;
}

// docs/guard.md: refused, to everybody but the updater.
const std::set<std::string> refused{"load syscall", "attach cgroup_sysctl", "link cgroup_sysctl", "link lsm_cgroup"};

class GuardMachine : public GuardGuest {
  protected:
    void SetUp() override {
        GuardGuest::SetUp();
        fs::create_directories(here);
        fs::remove(said);
        fs::remove_all(place + "log");
        one_processor_.emplace();
    }
    void TearDown() override {
        one_processor_.reset();
        GuardGuest::TearDown();
    }
    static std::size_t attempts() { return status()["attempts"]; }

  private:
    // A container's first cpuset has the kernel patch itself.
    std::optional<OneProcessor> one_processor_;
};

TEST_F(GuardMachine, ItsWorkIsDoneAndToldNobody) {
    BW_IN_ONE_GUEST("floor");
    if (!fs::exists(debian)) GTEST_SKIP() << "this guest has no stress-ng: the Debian mirror did not give it";
    const std::pair<const char*, int (*)()> works[] = {
        {"packages", packages}, {"containers", containers}, {"load", load}, {"bpftools", bpftools}};
    for (const auto& [name, work] : works) ASSERT_EQ(work(), 0) << name << " does not work at all: " << text_of(said);
    Daemon guard;
    seal();
    const auto before = attempts();
    for (const auto& [name, work] : works) {
        EXPECT_EQ(work(), 0) << name << ": " << text_of(said);
        EXPECT_EQ(attempts(), before) << name << " is told as an attempt: " << text_of(audit_log);
    }
    EXPECT_TRUE(logged("tamper").empty());
    // Somebody tries: that is what would have been told.
    EXPECT_NE(by_other("rm " + std::string(enforce::sealed_bpffs) + "/guard/show"), 0);
    EXPECT_EQ(attempts(), before + 1);
    expect_in_force();
    unseal();
}

// docs/guard.md: what differs for who looks around.
TEST_F(GuardMachine, ListsLeaveOutWhatIsSealed) {
    BW_IN_ONE_GUEST("floor");
    const std::string by_name = "bpftool map show name of_others",
                      by_pin = "bpftool map show pinned /sys/fs/bpf/others";
    ASSERT_EQ(by_other("bpftool map create /sys/fs/bpf/others type hash key 4 value 4 entries 4 name of_others"), 0)
        << text_of(said);
    const std::string list = "bpftool map list >list; grep -q 'name of_others' list";
    EXPECT_EQ(by_other(list + "; grep -q 'name denials' list"), 0) << text_of(said);
    EXPECT_EQ(by_other(by_name), 0) << text_of(said);
    seal();
    const auto before = attempts();
    EXPECT_EQ(by_other(list + "; ! grep 'name denials' list"), 0) << text_of(said);
    EXPECT_GT(attempts(), before);
    EXPECT_NE(by_other(by_name), 0) << "bpftool gives up at the first that it cannot open";
    EXPECT_EQ(by_other(by_pin), 0) << text_of(said);
    EXPECT_EQ(by_other("rm /sys/fs/bpf/others"), 0);
}

TEST_F(GuardMachine, EveryKindOfBpfThatIsNotRefusedByName) {
    const auto without = kinds();
    seal();
    const auto before = attempts();
    const auto sealed = kinds();
    std::size_t tried = 0;
    for (const auto& [kind, result] : without) {
        if (refused.contains(kind)) {
            EXPECT_EQ(result, 0) << kind << ": it works without a seal";
            EXPECT_NE(sealed.at(kind), 0) << kind << ": docs/guard.md says that it is refused";
            ++tried;
        } else {
            EXPECT_EQ(sealed.at(kind), result) << kind;
        }
    }
    EXPECT_EQ(attempts() - before, tried) << "nothing else is told";
    expect_in_force();
}

}  // namespace
}  // namespace bpfwarden::test
