// SPDX-License-Identifier: Apache-2.0
// Records made by hand, and everything a reader could be given in place of one.
#include "enforce/policy_event.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>
#include <random>

#include "audit/json.hpp"
#include "audit/summary.hpp"
#include "base/text.hpp"
#include "shared/policy_ops.h"

namespace bpfwarden::enforce {

using nlohmann::json;
using ::testing::HasSubstr;

static bw_event some_event() {
    bw_event event{};
    event.number = 7;
    event.time = 5'000'000'000;
    event.cpu = 3;
    event.hook = BW_HOOK_FILE_OPEN;
    event.told = BW_TOLD_DENIED;
    event.generation = 2;
    event.domain = 1;
    event.ops = BW_OP_READ | BW_OP_WRITE;
    event.decided = BW_OP_WRITE;
    event.rule = 1;
    event.pid = 42;
    event.tid = 43;
    event.uid = 1000;
    event.gid = 100;
    event.start_time = 4'000'000'000;
    event.cgroup = 99;
    event.userns = 4026531837;
    event.exe_device = 8U << 20 | 1;
    event.exe_inode = 1234;
    std::memcpy(event.comm, "cat", 4);
    event.parents[0].pid = 41;
    std::memcpy(event.parents[0].comm, "sixteen letters!", 16);
    event.parents[1].pid = 1;
    std::memcpy(event.parents[1].comm, "init", 5);
    event.device = 253U << 20 | 2;
    event.mode = S_IFREG | 04755;
    event.inode = 77;
    event.inode_generation = 5;
    event.detail = O_RDWR | O_CREAT | O_TRUNC;
    return event;
}

static std::vector<std::byte> record_of(bw_event event, std::array<std::string, BW_EVENT_TEXTS> texts) {
    std::string all;
    for (std::size_t i = 0; i < texts.size(); ++i) {
        event.texts[i] = static_cast<__u16>(texts[i].size());
        all += texts[i];
    }
    std::vector<std::byte> record(sizeof event + all.size());
    std::memcpy(record.data(), &event, sizeof event);
    std::memcpy(record.data() + sizeof event, all.data(), all.size());
    return record;
}
static const std::array<std::string, BW_EVENT_TEXTS> some_texts{"/etc/x", "", "/bin/cat", "/root", "/"};

static PolicyRecord names() {
    PolicyRecord record;
    record.generation = 2;
    record.domains = {"unconfined", "web"};
    record.rules = {{"no-writes", "nginx", "nginx.toml:12:1", "deny"}};
    return record;
}

static audit::Event event_of(const bw_event& event, const std::array<std::string, BW_EVENT_TEXTS>& texts = some_texts,
                             const std::string& cgroup = "/a") {
    const auto record = record_of(event, texts);
    const auto told = read_told(record);
    EXPECT_TRUE(told);
    auto made = audit_event(*told, names(), cgroup, 1'000'000'000'000);
    EXPECT_TRUE(audit::is_well_formed(made)) << audit::to_json(made);
    return made;
}

TEST(PolicyEvent, HasWhatTheKernelSaid) {
    const std::string id(64, 'c');
    const auto event = event_of(some_event(), some_texts, "/machine.slice/libpod-" + id + ".scope");
    EXPECT_EQ(event.time_ns, 1'005'000'000'000U);
    const json found = json::parse(audit::to_json(event));
    const json wanted =
        json::parse(R"J({"time":"1970-01-01T00:16:45.000000000Z","seq":0,"event":"policy","verdict":"denied",
        "hook":"file_open","operation":"write","asked":"read, write","domain":"web","rule":"no-writes","policy":"nginx",
        "line":"nginx.toml:12:1","generation":2,"actor":{"pid":42,"tid":43,"start":4000000000,"exe":"/bin/cat",
        "exe_device":"8:1","exe_inode":1234,"comm":"cat","uid":1000,"gid":100,"cgroup_id":99,"userns":4026531837,
        "cwd":"/root","root":"/","parents":"sixteen letters!(41), init(1)"},"target":{"path":"/etc/x","device":"253:2",
        "inode":77,"generation":5,"type":"file","mode":"4755"},"flags":"O_RDWR|O_CREAT|O_TRUNC","cpu":3,"number":7})J");
    auto without = found;
    without["actor"].erase("cgroup");
    without["actor"].erase("container");
    EXPECT_EQ(without, wanted) << found.dump(1);
    EXPECT_EQ(found["actor"]["container"], id);
    EXPECT_EQ(audit::summary(event), "denied /bin/cat(42) → write /etc/x: no-writes (nginx.toml:12:1) [domain web]");
}

TEST(PolicyEvent, WhatANumberMeansDependsOnTheHook) {
    const auto with = [](std::uint16_t hook, std::uint64_t op, std::uint32_t detail) {
        auto event = some_event();
        event.hook = hook;
        event.ops = event.decided = op;
        event.detail = detail;
        return event_of(event);
    };
    EXPECT_EQ(with(BW_HOOK_PATH_MKDIR, BW_OP_MKDIR, S_IFDIR | 0750).text("mode"), "0750");
    EXPECT_EQ(with(BW_HOOK_MMAP_FILE, BW_OP_MAP_EXEC, PROT_READ | PROT_EXEC).text("prot"), "PROT_READ|PROT_EXEC");
    EXPECT_EQ(with(BW_HOOK_TASK_KILL, BW_OP_SIGNAL, 9).text("signal"), "SIGKILL");
    EXPECT_EQ(with(BW_HOOK_TASK_KILL, BW_OP_SIGNAL, 40).text("signal"), "signal 40");
    EXPECT_EQ(with(BW_HOOK_TASK_KILL, BW_OP_SIGNAL, ~0U).text("signal"), "signal 4294967295");
    EXPECT_EQ(with(BW_HOOK_CAPABLE, BW_OP_CAPABLE, 12).text("capability"), "net_admin");
    EXPECT_EQ(with(BW_HOOK_CAPABLE, BW_OP_CAPABLE, 4000).text("capability"), "capability 4000");
    EXPECT_EQ(with(BW_HOOK_BPF, BW_OP_BPF, 5).text("command"), "prog_load");
    EXPECT_EQ(with(BW_HOOK_BPF, BW_OP_BPF, 5000).text("command"), "command 5000");
    EXPECT_EQ(with(BW_HOOK_FILE_OPEN, BW_OP_READ, O_CLOEXEC | 0x40000000).text("flags"),
              "O_RDONLY|O_CLOEXEC|0x40000000");
    EXPECT_EQ(with(BW_HOOK_SB_UMOUNT, BW_OP_UMOUNT, 2).text("flags"), "MNT_DETACH");
    EXPECT_EQ(with(BW_HOOK_PATH_UNLINK, BW_OP_DELETE, 2).find("flags"), nullptr);
    EXPECT_EQ(with(BW_HOOK_TASK_KILL, BW_OP_SIGNAL, 9).text("peer.domain"), "unconfined");
}

TEST(PolicyEvent, AddressesArePrinted) {
    auto event = some_event();
    event.hook = BW_HOOK_SOCKET_CONNECT;
    event.ops = event.decided = BW_OP_CONNECT;
    event.family = AF_INET6;
    event.port = 443;
    ASSERT_EQ(::inet_pton(AF_INET6, "2001:db8::1", event.address), 1);
    const std::array<std::string, BW_EVENT_TEXTS> no_path{"", "", "/bin/curl", "", ""};
    EXPECT_EQ(event_of(event, no_path).text("address"), "2001:db8::1");
    EXPECT_EQ(audit::description(event_of(event, no_path)),
              "/bin/curl(42) → connect inet6 2001:db8::1 port 443: no-writes (nginx.toml:12:1)");
    EXPECT_EQ(event_of(event, no_path).find("target.path"), nullptr);
    event.ops = event.decided = BW_OP_SOCKET;
    EXPECT_EQ(event_of(event, no_path).find("port"), nullptr) << "a socket that is made has none yet";
    event.ops = event.decided = BW_OP_CONNECT;
    event.family = 60000;
    EXPECT_EQ(event_of(event, no_path).text("family"), "family 60000");
    EXPECT_EQ(event_of(event, no_path).find("address"), nullptr);
}

TEST(PolicyEvent, NamesAreNumbersWhereNobodyKnowsThem) {
    auto event = some_event();
    event.domain = 200;
    event.rule = 300;
    EXPECT_EQ(event_of(event).text("domain"), "domain 200");
    EXPECT_EQ(event_of(event).text("rule"), "rule 300");
    EXPECT_EQ(event_of(event).find("line"), nullptr);
    event.rule = 0;
    EXPECT_EQ(event_of(event).text("rule"), "default");
    event.told = BW_TOLD_ENTERED;
    EXPECT_EQ(event_of(event).text("from_domain"), "unconfined");
    EXPECT_EQ(event_of(event).find("rule"), nullptr);
}

TEST(PolicyEvent, SaysWhatIsNotCertain) {
    auto event = some_event();
    event.flags = BW_EVENT_BLIND | BW_EVENT_DELETED | BW_EVENT_CUT | BW_EVENT_IN_KERNEL | BW_EVENT_GAINS;
    const auto made = event_of(event, {"tmpfs:/x", "/y", "", "", ""}, "");
    for (const auto* name : {"blind", "gains", "in_kernel", "truncated", "target.deleted", "target.detached"})
        EXPECT_EQ(made.text(name), "true") << name;
    EXPECT_EQ(made.text("target.second"), "/y");
    for (const auto* name : {"actor.exe", "actor.cgroup", "actor.container"})
        EXPECT_EQ(made.find(name), nullptr) << name;
}

TEST(PolicyEvent, HostileNamesAreSafeToPrint) {
    const auto event = event_of(some_event(), {"/a\n\x1b[2J\xff\xe2\x80\xae", "", "/b\r", "", ""});
    const auto line = audit::to_json(event), shown = audit::summary(event);
    EXPECT_EQ(line.find_first_of("\n\x1b\xff\r"), line.npos);
    EXPECT_EQ(printable(shown), shown);
    EXPECT_EQ(audit::from_json(line)->text("target.path"), "/a\n\x1b[2J\xff\xe2\x80\xae");
}

TEST(PolicyEvent, WhatIsNoRecordIsRefused) {
    const auto good = record_of(some_event(), some_texts);
    EXPECT_TRUE(read_told(good));
    for (std::size_t size = 0; size < good.size(); ++size) {
        EXPECT_FALSE(read_told(std::span(good).first(size))) << size;
    }
    auto longer = good;
    longer.push_back({});
    EXPECT_FALSE(read_told(longer)) << "bytes that nobody speaks of";
    EXPECT_FALSE(read_told(std::vector<std::byte>(BW_EVENT_MAX + 1)));
    const auto but = [](const std::function<void(bw_event&)>& change) {
        auto event = some_event();
        change(event);
        return record_of(event, some_texts);
    };
    EXPECT_FALSE(read_told(but([](bw_event& event) { event.number = 0; })));
    EXPECT_FALSE(read_told(but([](bw_event& event) { event.hook = BW_HOOKS; })));
    EXPECT_FALSE(read_told(but([](bw_event& event) { event.hook = 0; })));
    EXPECT_FALSE(read_told(but([](bw_event& event) { event.told = 5; })));
    EXPECT_FALSE(read_told(but([](bw_event& event) { event.told = 0; })));
}

TEST(PolicyEvent, HostileLengthsAndNumbersNeverCrash) {
    std::mt19937 random(11);
    for (int i = 0; i < 20'000; ++i) {
        auto record = record_of(some_event(), some_texts);
        for (int change = 0; change < 4; ++change) {
            // Mostly where the lengths are.
            const auto at = random() % 2 ? offsetof(bw_event, texts) + random() % 16 : random() % record.size();
            record[at] = static_cast<std::byte>(random());
        }
        const auto told = read_told(record);
        if (!told) continue;
        const auto event = audit_event(*told, names(), "/x", -5);
        ASSERT_TRUE(audit::is_well_formed(event));
        ASSERT_TRUE(audit::from_json(audit::to_json(event)));
        ASSERT_EQ(printable(audit::summary(event)), audit::summary(event));
    }
}

// Whatever event there is: docs/audit.schema.json names each of its fields, with its type.
static void expect_in_schema(const json& value, const json& schema, const std::string& name) {
    const json& properties = schema.at("properties");
    for (const auto& [key, member] : value.items()) {
        const auto full = name.empty() ? key : name + "." + key;
        ASSERT_TRUE(properties.contains(key)) << full;
        json of = properties.at(key);
        if (of.contains("oneOf")) {
            for (const auto& one : json(of["oneOf"]))
                if (one.at("type") == (member.is_object() ? "object" : "string")) of = one;
        }
        const auto type = member.is_object()    ? "object"
                          : member.is_string()  ? "string"
                          : member.is_boolean() ? "boolean"
                                                : "integer";
        EXPECT_EQ(of.at("type"), type) << full;
        if (of.contains("enum")) {
            EXPECT_THAT(of.at("enum").get<std::vector<std::string>>(), ::testing::Contains(member)) << full;
        }
        if (member.is_object()) expect_in_schema(member, of, full);
    }
}

TEST(PolicyEvent, EveryFieldIsInTheSchema) {
    std::ifstream file(std::string(BPFWARDEN_SOURCE) + "/docs/audit.schema.json");
    const json schema = json::parse(std::string(std::istreambuf_iterator<char>(file), {}));
    struct Case {
        std::uint16_t hook;
        std::uint64_t op;
    };
    static constexpr Case cases[] = {{BW_HOOK_FILE_OPEN, BW_OP_READ},     {BW_HOOK_PATH_MKNOD, BW_OP_MKNOD},
                                     {BW_HOOK_MMAP_FILE, BW_OP_MAP_EXEC}, {BW_HOOK_TASK_KILL, BW_OP_SIGNAL},
                                     {BW_HOOK_CAPABLE, BW_OP_CAPABLE},    {BW_HOOK_BPF, BW_OP_BPF},
                                     {BW_HOOK_SOCKET_BIND, BW_OP_BIND},   {BW_HOOK_URING, BW_OP_IO_URING},
                                     {BW_HOOK_PATH_RENAME, BW_OP_RENAME}, {BW_HOOK_BPRM_CHECK_SECURITY, BW_OP_EXEC},
                                     {BW_HOOK_SB_UMOUNT, BW_OP_UMOUNT}};
    std::size_t most = 0;
    for (const auto& [hook, op] : cases)
        for (std::uint8_t told = BW_TOLD_DENIED; told <= BW_TOLD_ENTERED; ++told) {
            auto event = some_event();
            event.hook = hook;
            event.decided = op;
            event.told = told;
            event.family = AF_INET;
            event.flags = 0x3f;
            auto made = event_of(event, {"ext4:/x", "/y", "/e", "/c", "/r"}, "/" + std::string(64, 'a'));
            made.set("late", true);
            most = std::max(most, made.fields.size());
            expect_in_schema(json::parse(audit::to_json(made)), schema, "");
        }
    EXPECT_LT(most + 6, audit::max_fields) << "room for more";
    for (std::uint16_t hook = 1; hook < BW_HOOKS; ++hook)
        EXPECT_THAT(schema["properties"]["hook"]["enum"].get<std::vector<std::string>>(),
                    ::testing::Contains(hook_name(hook)));
}

}  // namespace bpfwarden::enforce
