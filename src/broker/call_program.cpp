// SPDX-License-Identifier: Apache-2.0
// BPF_PROG_LOAD: the instructions are read before the kernel sees them, and every map in them must be the session's.
#include <algorithm>
#include <cstring>

#include "broker/call_state.hpp"
#include "bytecode/features.hpp"
#include "bytecode/reading.hpp"
#include "bytecode/relocate.hpp"
#include "trust/digest.hpp"

namespace bpfwarden::broker {

namespace {

using kernel::NameKind;

std::string name_in(const char (&field)[BPF_OBJ_NAME_LEN]) { return {field, ::strnlen(field, sizeof field)}; }

class Load {
  public:
    explicit Load(CallState& state) : state_(state), attr_(state.attr()) {}

    void go() {
        state_.out.program_name = name_in(attr_.prog_name);
        if (!read() || !resolve_kfuncs() || !resolve_symbols() || !resolve_maps() || !resolve_target()) return;
        if (!describe() || !state_.judge(operation_) || !may_go_on()) return;
        if (!state_.take_load() || !state_.take(Count::programs)) return;
        if (!load()) state_.session.ledger.give_back(Count::programs, 1);
    }

  private:
    bool not_readable(const Error& error) {
        return state_.refused(error.number() != 0 ? error.number() : EINVAL, "session", "", error.what());
    }

    bool read() {
        // As the kernel has it.
        if (attr_.insn_cnt == 0) return state_.failed(E2BIG);
        if (attr_.insns != 0 || state_.call.instructions.empty()) return state_.failed(EFAULT);
        auto reading = bytecode::read(state_.call.instructions);
        if (!reading) return not_readable(reading.error());
        reading_ = std::move(*reading);
        return true;
    }

    bool resolve_kfuncs() {
        const auto* types = state_.session.machine.kernel_types.get();
        for (const auto& kfunc : reading_.kfuncs) {
            // libbpf's mark for one that the kernel does not have; the kernel takes it only where it is never reached.
            if (kfunc.id == 0 && kfunc.module == 0) {
                kfuncs_.push_back("");
                continue;
            }
            if (kfunc.module != 0 || types == nullptr)
                return state_.refused(EPERM, "allow.kfuncs", "",
                                      types == nullptr ? "this kernel has no BTF, so kfuncs cannot be told apart"
                                                       : "kfuncs of modules are not called through a session");
            const auto name = types->name(kfunc.id, kernel::BtfKind::func);
            if (name.empty()) return state_.failed(EINVAL);
            kfuncs_.push_back(name);
        }
        return true;
    }

    // A typed kernel variable (per-CPU data, jiffies…): its address is a read of kernel memory, as tracing programs
    // have it, and the verifier lets others read it as well.
    bool resolve_symbols() {
        for (const auto& symbol : reading_.symbols)
            if (symbol.btf_fd != 0)
                return state_.refused(EPERM, "session", "", "variables of modules are not used through a session");
        return true;
    }

    bool resolve_maps() {
        auto& call = state_.call;
        std::vector<std::pair<std::uint32_t, std::uint32_t>> seen;  // index of the fd, map type
        const auto checked = [&](const bytecode::MapReference& map) -> Result<int> {
            std::uint32_t index = map.number;
            if (map.by == bytecode::MapBy::index || map.by == bytecode::MapBy::index_value) {
                if (index >= call.fd_array.size()) return fail(Error::from_errno(EBADF, "no such map"));
                index = call.fd_array[index];
            }
            if (!state_.has_fd(index)) return fail(Error::from_errno(EBADF, "no such map"));
            const int fd = state_.fd(index);
            if (std::ranges::none_of(seen, [&](const auto& one) { return one.first == index; })) {
                std::string type;
                if (!state_.own_map(fd, type)) return fail(Error::from_errno(EPERM, "not a map of this session"));
                seen.emplace_back(index, kernel::Names::known().value(NameKind::map_type, type).value_or(0));
            }
            return fd;
        };
        // Before rewrite(), which the digest does not notice.
        if (auto done = bytecode::rewrite(call.instructions, reading_, checked); !done)
            return state_.out.refusal ? false
                                      : state_.failed(done.error().number() != 0 ? done.error().number() : EINVAL);
        call.fd_array.clear();
        for (const auto& [index, type] : seen) map_types_.push_back(type);
        return true;
    }

    bool resolve_target() {
        // The kernel rewrites instructions by them after they were read here, and what is loaded has another digest.
        if (attr_.core_relo_cnt != 0 && state_.session.rights.judges_digests())
            return state_.refused(EPERM, "identity.sha256", "",
                                  "a program with relocations for the kernel to make has no digest: relocate it first");
        auto& field = attr_.attach_prog_fd;
        if (field != wire::no_fd) {
            const auto target = state_.program(field);
            if (!target)
                return state_.refused(EPERM, "session", "",
                                      "only a program of this session can be the target of another");
            target_ = target;
            field = static_cast<std::uint32_t>(target->fd.get());
        } else {
            field = 0;
        }
        attr_.prog_btf_fd =
            attr_.prog_btf_fd == wire::no_fd ? 0 : static_cast<std::uint32_t>(state_.fd(attr_.prog_btf_fd));
        if (attr_.prog_token_fd != 0)
            return state_.refused(EINVAL, "session", "", "a program of a session is loaded without a token");
        return true;
    }

    bool describe() {
        operation_.type = CallState::name(NameKind::program_type, attr_.prog_type);
        if (attr_.expected_attach_type != 0)
            operation_.attach = CallState::name(NameKind::attach_type, attr_.expected_attach_type);
        for (const auto helper : reading_.helpers)
            operation_.helpers.push_back(CallState::name(NameKind::helper, helper));
        for (const auto name : kfuncs_)
            if (!name.empty()) operation_.kfuncs.emplace_back(name);
        const auto features = bytecode::features({.reading = reading_,
                                                  .kfuncs = kfuncs_,
                                                  .map_types = map_types_,
                                                  .prog_flags = attr_.prog_flags,
                                                  .prog_ifindex = attr_.prog_ifindex});
        if (!features) return not_readable(features.error());
        if (features->unknown_flags != 0)
            return state_.refused(
                EINVAL, "session", "",
                fmt::format("program flags {:#x} are not known to this release", features->unknown_flags));
        for (const auto name : features->names) operation_.features.emplace_back(name);
        operation_.instructions = reading_.instructions;
        operation_.trivial = reading_.trivial;
        name_target();
        // By the session's own reading of it, whoever asks.
        const auto canonical = bytecode::canonical(state_.call.instructions);
        if (auto digest = trust::sha256(std::as_bytes(std::span(canonical)))) operation_.sha256 = std::move(*digest);
        state_.out.program_sha256 = operation_.sha256;
        return identify(std::as_bytes(std::span(canonical)));
    }

    // Who signed it. Of the stream that the digest is of, so that a signature and a digest mean the same program.
    bool identify(wire::Bytes stream) {
        const auto* at = state_.session.rights.asks_for_signers();
        if (at == nullptr || grant::is_probe(operation_)) return true;
        std::vector<wire::Bytes> signatures;
        // What came with the program is about this program; else it may be any of those that were left here.
        if (!state_.call.signature.empty())
            signatures.push_back(state_.call.signature);
        else
            for (const auto& one : state_.session.signatures) signatures.push_back(one);
        if (signatures.empty()) return true;
        auto verified = state_.session.parser.verify(stream, signatures);
        if (!verified)
            return state_.refused(EIO, "identity.signers", at->text(),
                                  verified.error().what() + ": " + verified.error().why());
        operation_.signers = std::move(verified->signers);
        operation_.not_signed = std::move(verified->why_not);
        state_.out.program_signer = fmt::format("{}", fmt::join(operation_.signers, ", "));
        return true;
    }

    void name_target() {
        const auto* types = state_.session.machine.kernel_types.get();
        if (attr_.attach_btf_id == 0 || target_ || types == nullptr) return;
        if (operation_.type == "tracing" && operation_.attach == "trace_raw_tp") {
            // The type of the tracepoint NAME's function is called btf_trace_NAME.
            constexpr std::string_view prefix = "btf_trace_";
            auto name = types->name(attr_.attach_btf_id, kernel::BtfKind::type_def);
            if (name.starts_with(prefix)) operation_.tracepoint = name.substr(prefix.size());
        } else {
            operation_.function = types->name(attr_.attach_btf_id, kernel::BtfKind::func);
        }
        state_.out.target = operation_.tracepoint.empty() ? operation_.function : operation_.tracepoint;
    }

    // What runs on although no program fd is left.
    bool may_go_on() {
        if (operation_.type == "syscall")
            return state_.refused(EPERM, "allow.program_types", "",
                                  "a syscall program calls bpf() with the rights of whoever runs it, which is not the "
                                  "session's holder");
        for (const auto& helper : operation_.helpers)
            if (helper.starts_with("timer_")) return state_.may_outlive("a timer (bpf_timer_*)");
        for (const auto& kfunc : operation_.kfuncs)
            if (kfunc.starts_with("bpf_wq_") || kfunc.starts_with("bpf_task_work_"))
                return state_.may_outlive("deferred work (" + kfunc + ")");
        return true;
    }

    bool load() {
        state_.call.point();
        const int fd = state_.run();
        if (fd < 0) return state_.failed(-fd);
        auto& ledger = state_.session.ledger;
        const std::shared_ptr<Program> program(new Program{ProgFd(fd),
                                                           {},
                                                           state_.out.program_name,
                                                           operation_.type,
                                                           operation_.attach,
                                                           operation_.sha256,
                                                           state_.out.target},
                                               [&ledger](Program* gone) {
                                                   delete gone;
                                                   ledger.give_back(Count::programs, 1);
                                               });
        // From here on the program gives itself back.
        state_.hand_out(program);
        return true;
    }

    CallState& state_;
    bpf_attr& attr_;
    bytecode::Reading reading_;
    std::vector<std::string_view> kfuncs_;
    std::vector<std::uint32_t> map_types_;
    std::shared_ptr<Program> target_;
    grant::ProgLoad operation_;
};

}  // namespace

void load_program(CallState& state) { Load(state).go(); }

}  // namespace bpfwarden::broker
