// SPDX-License-Identifier: Apache-2.0
// Uprobes by the name of a function: which place of which file that is, and that nobody can call another one so.
#include <elf.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "daemon.hpp"

namespace bpfwarden::test {

extern "C" __attribute__((noinline, used)) int bw_uprobe_target(int value) {
    asm volatile("" : "+r"(value));
    return value + 1;
}
extern "C" __attribute__((noinline, used)) int bw_uprobe_other(int value) {
    asm volatile("" : "+r"(value));
    return value + 2;
}

namespace {

namespace fs = std::filesystem;

std::uint32_t uprobe_type() {
    std::uint32_t type = 0;
    std::ifstream("/sys/bus/event_source/devices/uprobe/type") >> type;
    return type;
}

std::string own_file() { return fs::read_symlink("/proc/self/exe"); }

// Where a function of this program is in its file.
std::uint64_t offset_of(int (*function)(int)) {
    const auto wanted = reinterpret_cast<std::uint64_t>(function);
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
        unsigned long long from = 0, to = 0, offset = 0;
        if (std::sscanf(line.c_str(), "%llx-%llx %*s %llx", &from, &to, &offset) == 3 && wanted >= from && wanted < to)
            return wanted - from + offset;
    }
    return 0;
}

std::string probing(const std::string& uprobes) {
    return "dangerous = ['kernel_read']\n" +
           allow(
               "program_types = ['kprobe']\nmap_types = ['array']\nhelpers = ['map_lookup_elem']\nverifier = ['any']\n"
               "capabilities = ['bpf', 'perfmon']\n[targets]\nuprobes = [" +
               uprobes + "]\n");
}

int open_probe(bpfw_session* session, const std::string& path, std::uint64_t offset, std::uint64_t config = 0) {
    perf_event_attr attr{};
    attr.type = uprobe_type();
    attr.size = sizeof attr;
    attr.config = config;
    attr.config1 = reinterpret_cast<std::uint64_t>(path.c_str());
    attr.config2 = offset;
    attr.sample_period = 1;
    attr.wakeup_events = 1;
    return ::bpfw_perf_event_open(session, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
}

std::string tries(const std::string& grant, const std::string& path, std::uint64_t offset, std::uint64_t config = 0) {
    return as_user(test_user(), [&] {
        auto* session = ::bpfw_open(grant.c_str());
        return session == nullptr ? std::string(::bpfw_error()) : outcome(open_probe(session, path, offset, config));
    });
}

std::string content_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}
void write_file(const std::string& path, const std::string& content) {
    std::ofstream(path, std::ios::binary) << content;
    fs::permissions(path, fs::perms(0755));
}
std::string without_names(std::string bytes) {
    auto* header = reinterpret_cast<Elf64_Ehdr*>(bytes.data());
    header->e_shoff = 0;
    header->e_shnum = header->e_shstrndx = 0;
    return bytes;
}

constexpr const char* refused = "EPERM targets.uprobes";

}  // namespace

class Uprobes : public ::testing::Test {
  protected:
    void SetUp() override {
        BW_IN_ONE_GUEST("floor");
        if (uprobe_type() == 0) GTEST_SKIP() << "no uprobes on this kernel";
        ASSERT_NE(target_, 0U);
    }
    const std::string file_ = own_file();
    const std::uint64_t target_ = offset_of(&bw_uprobe_target), other_ = offset_of(&bw_uprobe_other);
};

TEST_F(Uprobes, ByTheNameOfAFunction) {
    Daemon daemon({{"name", probing("'" + file_ + ":bw_uprobe_target'")},
                   {"glob", probing("'" + file_ + ":bw_uprobe_*'")},
                   {"place", probing("'" + file_ + ":0x" + [this] {
                        char text[32];
                        std::snprintf(text, sizeof text, "%lx", static_cast<unsigned long>(target_));
                        return std::string(text);
                    }() + "'")}});
    for (const char* grant : {"name", "glob", "place"}) {
        EXPECT_EQ(tries(grant, file_, target_), "ok") << grant;
        EXPECT_EQ(tries(grant, file_, target_, 1), "ok") << grant << ": its return";
        EXPECT_EQ(tries(grant, file_, target_ + 4), refused) << grant << ": in the middle of it";
        EXPECT_EQ(tries(grant, file_, other_), std::string(grant) == "glob" ? "ok" : refused) << grant;
        EXPECT_EQ(tries(grant, file_, target_, std::uint64_t{64} << 32), refused) << grant << ": with a counter";
    }
    EXPECT_EQ(daemon.audit({"perf_event_open uprobe=" + file_ + ":bw_uprobe_target", "\"verdict\":\"allowed\""}).size(),
              4U);
}

// It fires, and stops with the session.
TEST_F(Uprobes, ItsProgramRuns) {
    Daemon daemon({{"name", probing("'" + file_ + ":bw_uprobe_target'")}});
    Actor tracer(test_user(), [&](Actor& actor) {
        cpu_set_t first;
        CPU_ZERO(&first);
        CPU_SET(0, &first);
        ::sched_setaffinity(0, sizeof first, &first);
        auto* session = ::bpfw_open("name");
        const int map = create_map(session);
        const int program = load_program(session, BPF_PROG_TYPE_KPROBE, count_in(map, 0));
        if (program < 0) return actor.say(std::string("load: ") + ::bpfw_error());
        const int event = open_probe(session, file_, target_);
        if (event < 0) return actor.say(std::string("event: ") + ::bpfw_error());
        if (link(session, program, event, BPF_PERF_EVENT) < 0) return actor.say(std::string("link: ") + ::bpfw_error());
        ::ioctl(event, PERF_EVENT_IOC_ENABLE, 0);
        const auto counted = [&] {
            const auto before = first_element(map);
            for (int i = 0; i < 5; ++i) (void)bw_uprobe_other(bw_uprobe_target(i));
            return std::to_string(first_element(map) - before);
        };
        actor.say(counted());
        (void)actor.listen();
        actor.say(counted());
    });
    EXPECT_EQ(tracer.hear(), "5");
    ASSERT_EQ(daemon.sessions().size(), 1U);
    EXPECT_EQ(daemon.tool({"session", "revoke", daemon.sessions().at(0)}).status, 0);
    tracer.tell();
    EXPECT_EQ(tracer.hear(), "0");
}

TEST_F(Uprobes, OnlyInTheNamedFile) {
    Daemon daemon;
    const auto same = daemon.directory() + "/same", stripped = daemon.directory() + "/stripped",
               garbage = daemon.directory() + "/garbage", cut = daemon.directory() + "/cut";
    const auto bytes = content_of(file_);
    write_file(same, bytes);
    write_file(stripped, without_names(bytes));
    write_file(garbage,
               "\x7f"
               "ELF and nothing that follows from it");
    write_file(cut, bytes.substr(0, bytes.size() - 4096));
    std::string names;
    for (const auto& one : {file_, stripped, garbage, cut}) names += "'" + one + ":bw_uprobe_target', ";
    daemon.write_grant("name", probing(names));
    ASSERT_EQ(daemon.tool({"grant", "reload"}).status, 0);
    EXPECT_EQ(tries("name", file_, target_), "ok");
    EXPECT_EQ(tries("name", same, target_), refused) << "the same symbol in another file";
    EXPECT_EQ(tries("name", stripped, target_), refused) << "nothing has a name there";
    EXPECT_EQ(tries("name", garbage, target_), refused);
    EXPECT_EQ(tries("name", cut, target_), refused) << "the headers of its sections are gone";
    EXPECT_EQ(tries("name", "/dev/null", target_), "EINVAL targets.uprobes");
    // A hostile file costs nobody the session.
    EXPECT_EQ(as_user(test_user(),
                      [&] {
                          auto* session = ::bpfw_open("name");
                          const auto hostile = outcome(open_probe(session, garbage, target_));
                          return hostile + ", " + outcome(open_probe(session, file_, target_));
                      }),
              std::string(refused) + ", ok");
}

// The path of an open file is what it was called where it was opened. Whoever has a mount namespace of their own can
// put any file under any name there; the kernel would probe the file that was opened (the control).
TEST_F(Uprobes, AnotherFileMountedUnderTheName) {
    Daemon daemon;
    const auto allowed = daemon.directory() + "/allowed", victim = daemon.directory() + "/victim";
    write_file(allowed, content_of(file_));
    write_file(victim, content_of(file_));
    daemon.write_grant("name", probing("'" + allowed + ":bw_uprobe_target', '" + allowed + ":0x*'"));
    ASSERT_EQ(daemon.tool({"grant", "reload"}).status, 0);
    EXPECT_EQ(tries("name", allowed, target_), "ok");
    EXPECT_EQ(as_user(0,
                      [&]() -> std::string {
                          if (::unshare(CLONE_NEWNS) != 0 ||
                              ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
                              ::mount(victim.c_str(), allowed.c_str(), nullptr, MS_BIND, nullptr) != 0 ||
                              ::setresuid(test_user(), test_user(), test_user()) != 0)
                              return "mount";
                          const int fd = ::open(allowed.c_str(), O_RDONLY | O_CLOEXEC);
                          char path[4096] = {};
                          (void)!::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path, sizeof path - 1);
                          const auto called = std::string(path == allowed ? "called as allowed" : path);
                          return called + ", " + outcome(open_probe(::bpfw_open("name"), allowed, target_));
                      }),
              std::string("called as allowed, ") + refused);
}

// Opened, and then something else was put in its place, or it under another name.
TEST_F(Uprobes, AFileThatIsReplaced) {
    Daemon daemon;
    const auto allowed = daemon.directory() + "/allowed", aside = daemon.directory() + "/aside",
               link = daemon.directory() + "/link";
    write_file(allowed, content_of(file_));
    fs::create_symlink(allowed, link);
    daemon.write_grant("name", probing("'" + allowed + "*:bw_uprobe_target'"));
    ASSERT_EQ(daemon.tool({"grant", "reload"}).status, 0);
    Actor holder(test_user(), [&](Actor& actor) {
        auto* session = ::bpfw_open("name");
        const auto old = "/proc/self/fd/" + std::to_string(::open(allowed.c_str(), O_RDONLY | O_CLOEXEC));
        for (int i = 0; i < 3; ++i) {
            actor.say(outcome(open_probe(session, old, target_)) + ", " + outcome(open_probe(session, link, target_)));
            (void)actor.listen();
        }
    });
    EXPECT_EQ(holder.hear(), "ok, ok");
    fs::rename(allowed, aside);
    write_file(allowed, content_of(file_));
    holder.tell();
    EXPECT_EQ(holder.hear(), std::string(refused) + ", ok") << "it is called 'aside' now";
    fs::remove(aside);
    holder.tell();
    EXPECT_EQ(holder.hear(), std::string(refused) + ", ok") << "it has no name any more";
    holder.tell();
}

// Every segment holds the place, every symbol is a function, and every section is the same table of them: reading it
// would take minutes. Its reader is ended by its own clock; the session goes on with what needs no reader.
TEST_F(Uprobes, AFileThatWouldTakeMinutes) {
    BW_SAME_ON_EVERY_KERNEL();
    Daemon daemon;
    const auto slow = daemon.directory() + "/slow";
    constexpr std::uint16_t segments = 4000, sections = 900;
    constexpr std::size_t symbols = 40'000;
    Elf64_Ehdr header{};
    std::memcpy(header.e_ident,
                "\x7f"
                "ELF\2\1\1",
                7);
    header.e_type = ET_DYN;
    header.e_machine = EM_X86_64;
    header.e_version = 1;
    header.e_ehsize = sizeof header;
    header.e_phoff = sizeof header;
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = segments;
    header.e_shentsize = sizeof(Elf64_Shdr);
    header.e_shnum = sections;
    const auto table = sizeof header + segments * sizeof(Elf64_Phdr);
    header.e_shoff = table + symbols * sizeof(Elf64_Sym);
    std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
    const auto add = [&](const auto& one, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) bytes.append(reinterpret_cast<const char*>(&one), sizeof one);
    };
    Elf64_Phdr segment{};
    segment.p_type = PT_LOAD;
    segment.p_flags = PF_X | PF_R;
    segment.p_filesz = segment.p_memsz = 1 << 20;
    add(segment, segments);
    Elf64_Sym symbol{};
    symbol.st_info = STT_FUNC;
    symbol.st_shndx = 1;
    symbol.st_value = 1;
    add(symbol, symbols);
    Elf64_Shdr section{};
    section.sh_type = SHT_SYMTAB;
    section.sh_offset = table;
    section.sh_size = symbols * sizeof symbol;
    section.sh_entsize = sizeof symbol;
    add(section, sections);
    write_file(slow, bytes);
    daemon.write_grant("name", probing("'" + slow + ":function', '" + file_ + ":0x*'"));
    ASSERT_EQ(daemon.tool({"grant", "reload"}).status, 0);
    const auto began = std::chrono::steady_clock::now();
    EXPECT_EQ(as_user(test_user(),
                      [&] {
                          auto* session = ::bpfw_open("name");
                          const auto hostile = outcome(open_probe(session, slow, 4096));
                          return hostile + ", " + outcome(open_probe(session, file_, target_));
                      }),
              "EIO targets.uprobes, ok");
    EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(8));
}

TEST_F(Uprobes, WithoutTheParserPlacesAreLeft) {
    char place[32];
    std::snprintf(place, sizeof place, ":0x%lx", static_cast<unsigned long>(other_));
    Daemon daemon({{"name", probing("'" + file_ + ":bw_uprobe_target', '" + file_ + place + "'")}});
    Actor holder(test_user(), [&](Actor& actor) {
        auto* session = ::bpfw_open("name");
        for (int i = 0; i < 2; ++i) {
            actor.say(outcome(open_probe(session, file_, target_)) + ", " +
                      outcome(open_probe(session, file_, other_)));
            (void)actor.listen();
        }
    });
    ASSERT_EQ(holder.hear(), "ok, ok");
    ASSERT_EQ(::kill(child_of(daemon.worker(), "bpfwarden-parse"), SIGKILL), 0);
    holder.tell();
    EXPECT_EQ(holder.hear(), "EIO targets.uprobes, ok");
    holder.tell();
}

}  // namespace bpfwarden::test
