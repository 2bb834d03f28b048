// SPDX-License-Identifier: Apache-2.0
// Each call, taken apart by a client and put together by the broker: the same call; and its answer: the same answer.
#include <gtest/gtest.h>

#include "unit/wire/samples.hpp"

namespace bpfwarden::wire {

namespace {

// The attributes with what differs on purpose taken out.
bpf_attr plain(const bpf_attr& attr, const BpfLayout& layout) {
    Sample copy;
    copy.attr = attr;
    for (const auto& fd : layout.fds) copy.set(fd.offset, 0);
    for (const auto& buffer : layout.buffers) copy.set(buffer.pointer, std::uint64_t{0});
    return copy.attr;
}

template <class T>
T at(const bpf_attr& attr, std::uint16_t offset) {
    Sample copy;
    copy.attr = attr;
    return copy.get<T>(offset);
}

void expect_same_instructions(Sample& sample, const BpfCall& call, const Message& message) {
    auto* insns = sample.instructions();
    ASSERT_EQ(call.instructions.size(), 9U);
    const auto file = [&](std::int32_t index) { return message.fds.at(static_cast<std::size_t>(index)).get(); };
    EXPECT_TRUE(same_file(file(call.instructions[0].imm), insns[0].imm));
    EXPECT_TRUE(same_file(file(call.instructions[2].imm), insns[2].imm));
    EXPECT_EQ(call.instructions[3].imm, 44);
    EXPECT_EQ(call.instructions[4].imm, 1);
    EXPECT_EQ(call.instructions[6].off, 2);
    EXPECT_EQ(call.instructions[6].imm, 1234);
    EXPECT_EQ(call.instructions[7].imm, 99);
    EXPECT_TRUE(same_file(file(call.instructions[8].imm - 1), insns[8].imm));
    ASSERT_EQ(call.fd_array.size(), 3U);  // as far as the instructions use it
    EXPECT_EQ(call.fd_array[0], no_fd);
    EXPECT_NE(call.fd_array[1], call.fd_array[2]);
}

void expect_same_call(Sample& sample, const BpfCall& call, const Message& message) {
    EXPECT_EQ(call.command, sample.command);
    const auto given = plain(sample.attr, sample.layout);
    const auto got = plain(call.attr, sample.layout);
    EXPECT_EQ(std::memcmp(&given, &got, sizeof given), 0);
    for (const auto& field : sample.layout.fds) {
        const auto index = at<std::uint32_t>(call.attr, field.offset);
        ASSERT_LT(index, message.fds.size());
        EXPECT_TRUE(same_file(message.fds[index].get(), sample.get<int>(field.offset)));
    }
    for (std::size_t i = 0; i < sample.layout.buffers.size(); ++i) {
        const auto& buffer = sample.layout.buffers[i];
        if (!buffer.in || buffer.holds == Buffer::Holds::fds) continue;
        if (buffer.holds == Buffer::Holds::texts) {
            EXPECT_TRUE(std::ranges::equal(call.texts, sample.texts));
        } else if (buffer.holds == Buffer::Holds::text) {
            EXPECT_EQ(call.text, "GPL");
        } else if (buffer.holds == Buffer::Holds::instructions) {
            expect_same_instructions(sample, call, message);
        } else {
            const auto* content = reinterpret_cast<const std::byte*>(at<std::uint64_t>(call.attr, buffer.pointer));
            ASSERT_NE(content, nullptr);
            EXPECT_NE(content, sample.memory[i].data());
            EXPECT_EQ(std::memcmp(content, sample.memory[i].data(), buffer.length), 0);
        }
    }
}

}  // namespace

TEST(Call, ArrivesAsItWasGiven) {
    const auto before = open_fds();
    for (auto& sample : every_call()) {
        SCOPED_TRACE(sample.name);
        const auto request = BpfRequest::of(sample.command, &sample.attr, sizeof sample.attr);
        ASSERT_TRUE(request) << request.error().text("");
        Receiver receiver;
        const auto message = sent(*request, receiver);
        auto call = BpfCall::of(message);
        ASSERT_TRUE(call) << call.error().text("");
        expect_same_call(sample, *call, message);
    }
    EXPECT_EQ(open_fds(), before);
}

// What the kernel would have written in the broker is in the caller's memory afterwards, and nothing else is changed.
TEST(Call, ItsAnswerComesBack) {
    for (auto& sample : every_call()) {
        SCOPED_TRACE(sample.name);
        const auto request = BpfRequest::of(sample.command, &sample.attr, sizeof sample.attr);
        ASSERT_TRUE(request);
        Receiver receiver;
        const auto message = sent(*request, receiver);
        auto call = BpfCall::of(message);
        ASSERT_TRUE(call);

        Sample kernel;
        kernel.attr = call->attr;
        for (const auto& one : sample.layout.results) {
            if (one.size == 8)
                kernel.set(one.offset, std::uint64_t{9});
            else
                kernel.set(one.offset, std::uint32_t{4});
        }
        for (const auto& buffer : sample.layout.buffers)
            if (buffer.out) {
                auto* output = reinterpret_cast<char*>(kernel.get<std::uint64_t>(buffer.pointer));
                ASSERT_NE(output, nullptr);
                std::memcpy(output, "result", 7);
            }
        call->attr = kernel.attr;
        Writer writer;
        call->write_answer(writer, 0);

        const auto given = sample.attr;
        Message answer;
        answer.body = writer.bytes();
        const auto result =
            request->take_answer(answer, reinterpret_cast<std::uint64_t>(&sample.attr), sizeof sample.attr);
        ASSERT_TRUE(result) << result.error().text("");
        EXPECT_EQ(*result, 0);
        Sample changed;
        changed.attr = given;
        for (const auto& one : sample.layout.results) {
            if (one.size == 8)
                changed.set(one.offset, std::uint64_t{9});
            else
                changed.set(one.offset, std::uint32_t{4});
        }
        EXPECT_EQ(std::memcmp(&changed.attr, &sample.attr, sizeof given), 0);
        for (std::size_t i = 0; i < sample.layout.buffers.size(); ++i)
            if (sample.layout.buffers[i].out) {
                EXPECT_EQ(std::memcmp(sample.memory[i].data(), "resu", 4), 0);
            }
    }
}

TEST(Call, AnFdInTheAnswerIsTheResult) {
    auto samples = every_call();
    auto& sample = samples.front();
    const auto request = BpfRequest::of(sample.command, &sample.attr, sizeof sample.attr);
    ASSERT_TRUE(request);
    Receiver receiver;
    const auto message = sent(*request, receiver);
    const auto call = BpfCall::of(message);
    ASSERT_TRUE(call);
    for (const int result : {0, -EPERM}) {
        Writer writer;
        call->write_answer(writer, result);
        Message answer;
        answer.body = writer.bytes();
        answer.fds.push_back(some_file());
        const int number = answer.fds.front().get();
        const auto taken =
            request->take_answer(answer, reinterpret_cast<std::uint64_t>(&sample.attr), sizeof sample.attr);
        ASSERT_TRUE(taken);
        EXPECT_EQ(*taken, result < 0 ? result : number);
        if (*taken >= 0) ::close(*taken);
    }
}

// A caller with an older header has smaller attributes: nothing is written past them.
TEST(Call, SmallAttributesStaySmall) {
    auto samples = every_call();
    auto& sample = *std::ranges::find(samples, "prog_load", &Sample::name);
    constexpr std::size_t size = offsetof(bpf_attr, log_true_size);
    struct {
        bpf_attr attr;
    } old{sample.attr};
    const auto request = BpfRequest::of(sample.command, &old.attr, size);
    ASSERT_TRUE(request);
    Receiver receiver;
    const auto message = sent(*request, receiver);
    auto call = BpfCall::of(message);
    ASSERT_TRUE(call);
    call->attr.log_true_size = 1234;
    Writer writer;
    call->write_answer(writer, 0);
    Message answer;
    answer.body = writer.bytes();
    ASSERT_TRUE(request->take_answer(answer, reinterpret_cast<std::uint64_t>(&old.attr), size));
    EXPECT_EQ(old.attr.log_true_size, sample.attr.log_true_size);
}

TEST(Call, LargerAttributesMustBeZero) {
    struct {
        bpf_attr attr{};
        char more[16] = {};
    } large;
    large.attr.map_type = BPF_MAP_TYPE_ARRAY;
    EXPECT_TRUE(BpfRequest::of(BPF_MAP_CREATE, &large, sizeof large));
    large.more[15] = 1;
    const auto request = BpfRequest::of(BPF_MAP_CREATE, &large, sizeof large);
    ASSERT_FALSE(request);
    EXPECT_EQ(request.error().number(), E2BIG);
}

// BPF_RAW_TRACEPOINT_OPEN of a tracing program has no name, and the kernel refuses an empty one.
TEST(Call, NoTextIsNotAnEmptyText) {
    for (const bool with : {false, true}) {
        const auto program = some_file();
        bpf_attr attr{};
        attr.raw_tracepoint.prog_fd = static_cast<std::uint32_t>(program.get());
        if (with) attr.raw_tracepoint.name = reinterpret_cast<std::uint64_t>("");
        const auto request = BpfRequest::of(BPF_RAW_TRACEPOINT_OPEN, &attr, sizeof attr);
        ASSERT_TRUE(request);
        Receiver receiver;
        const auto message = sent(*request, receiver);
        auto call = BpfCall::of(message);
        ASSERT_TRUE(call);
        call->point();
        EXPECT_EQ(call->attr.raw_tracepoint.name != 0, with);
    }
}

// A program of a million instructions goes in a memfd, and one that names the same map a thousand times sends it once.
TEST(Call, LargeProgramsFit) {
    const auto map = some_file();
    std::vector<bpf_insn> insns(1'000'000);
    for (std::size_t i = 0; i < 1000; ++i)
        insns[2 * i] = {
            .code = BPF_LD | BPF_IMM | BPF_DW, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_FD, .off = 0, .imm = map.get()};
    bpf_attr attr{};
    attr.insns = reinterpret_cast<std::uint64_t>(insns.data());
    attr.insn_cnt = static_cast<std::uint32_t>(insns.size());
    const auto request = BpfRequest::of(BPF_PROG_LOAD, &attr, sizeof attr);
    ASSERT_TRUE(request);
    EXPECT_EQ(request->fds().size(), 1U);
    Receiver receiver;
    const auto message = sent(*request, receiver);
    const auto call = BpfCall::of(message);
    ASSERT_TRUE(call);
    EXPECT_EQ(call->instructions.size(), insns.size());

    attr.insn_cnt = 1'000'001;
    insns.resize(1'000'001);
    attr.insns = reinterpret_cast<std::uint64_t>(insns.data());
    const auto larger = BpfRequest::of(BPF_PROG_LOAD, &attr, sizeof attr);
    ASSERT_FALSE(larger);
    EXPECT_EQ(larger.error().number(), E2BIG);
}

// Of Linux 6.18, behind what installed headers know: out of the attributes, and beside the call.
TEST(Call, SignaturesOfPrograms) {
    const std::vector<bpf_insn> insns(2);
    const std::vector<std::byte> signature(largest_signature, std::byte{7});
    struct Fields {
        std::uint64_t address = 0;
        std::uint32_t size = 0;
        std::int32_t keyring = 0;
        std::uint64_t more = 0;
    };
    const auto request_of = [&](const Fields& fields, std::size_t size = signature_at + 16) {
        std::array<std::byte, signature_at + sizeof fields> bytes{};
        bpf_attr attr{};
        attr.insns = reinterpret_cast<std::uint64_t>(insns.data());
        attr.insn_cnt = static_cast<std::uint32_t>(insns.size());
        std::memcpy(bytes.data(), &attr, std::min(sizeof attr, signature_at));
        std::memcpy(bytes.data() + signature_at, &fields, sizeof fields);
        return BpfRequest::of(BPF_PROG_LOAD, bytes.data(), size);
    };
    const auto address = reinterpret_cast<std::uint64_t>(signature.data());
    const auto error_of = [&](const Fields& fields, std::size_t size = signature_at + 16) {
        const auto request = request_of(fields, size);
        return request ? 0 : request.error().number();
    };
    for (const std::uint32_t length : {1U, 100U, static_cast<std::uint32_t>(largest_signature)}) {
        const auto request = request_of({address, length, -3});
        ASSERT_TRUE(request);
        Receiver receiver;
        const auto message = sent(*request, receiver);
        const auto call = BpfCall::of(message);
        ASSERT_TRUE(call) << call.error().text("");
        EXPECT_TRUE(std::ranges::equal(call->signature, std::span(signature).first(length)));
        EXPECT_EQ(call->attr.insn_cnt, 2U);
        // What is cut short, or has more behind it, is no call.
        for (const auto change : {-1, 1}) {
            std::vector<std::byte> body(message.body.begin(), message.body.end());
            body.resize(body.size() + static_cast<std::size_t>(change));
            Message broken;
            broken.body = body;
            EXPECT_FALSE(BpfCall::of(broken));
        }
    }
    EXPECT_EQ(error_of({}), 0);
    EXPECT_EQ(error_of({address, 0}), EINVAL);
    EXPECT_EQ(error_of({0, 100}), EINVAL);
    EXPECT_EQ(error_of({address, largest_signature + 1}), EINVAL);
    for (const int keyring : {1, 2, -1, -4}) EXPECT_EQ(error_of({address, 100, keyring}), EINVAL) << keyring;
    // Attributes that end within the fields have zeros for the rest.
    EXPECT_EQ(error_of({address, 100}, signature_at + 8), EINVAL);
    EXPECT_EQ(error_of({address, 100, 0, 1}, signature_at + 24), E2BIG) << "behind it is nothing that is known";
}

// Other commands have nothing there.
TEST(Call, SignaturesOfOthers) {
    std::array<std::byte, signature_at + 16> bytes{};
    bytes[signature_at + 8] = std::byte{1};
    const auto request = BpfRequest::of(BPF_MAP_CREATE, bytes.data(), bytes.size());
    ASSERT_FALSE(request);
    EXPECT_EQ(request.error().number(), E2BIG);
}

TEST(Call, RefusalsAndErrorsComeBackWhole) {
    Writer writer;
    write_refusal(writer, {EPERM, "allow.map_types", "x.toml:7:1", "no such map"});
    Reader reader(writer.bytes());
    EXPECT_EQ(reader.number<std::uint8_t>(), static_cast<std::uint8_t>(Answer::refused));
    const auto refusal = read_refusal(reader);
    ASSERT_TRUE(refusal);
    EXPECT_EQ(refusal->key + refusal->line + refusal->reason, "allow.map_typesx.toml:7:1no such map");

    writer.clear();
    write_error(writer, Error::from_errno(ENOENT, "what").because("why").advise("hint").with_code(Code::no_daemon));
    Reader again(writer.bytes());
    const auto error = read_error(again);
    EXPECT_TRUE(again.done());
    EXPECT_EQ(error.number(), ENOENT);
    EXPECT_EQ(error.code(), Code::no_daemon);
    EXPECT_EQ(error.text("x"), "x: what\n  why\n  hint");
}

}  // namespace bpfwarden::wire
