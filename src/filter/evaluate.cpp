// SPDX-License-Identifier: Apache-2.0
#include "filter/evaluate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <span>
#include <unordered_map>
#include <utility>
#include <variant>

#include "base/text.hpp"
#include "bytecode/instruction.hpp"
#include "filter/describe.hpp"
#include "filter/flow.hpp"
#include "filter/lookup.hpp"
#include "filter/machine.hpp"
#include "filter/reason.hpp"
#include "filter/returned.hpp"
#include "filter/settle.hpp"

namespace bpfwarden::filter {

namespace {

using bytecode::Kind;

// A state in a form that can be compared: what is read again of it, and nothing else.
using Key = std::vector<std::uint32_t>;
struct HashOfKey {
    std::size_t operator()(const Key& key) const {
        std::size_t hash = key.size();
        for (const auto one : key) {
            hash = (hash ^ one) * 0x9e3779b97f4a7c15U;
            hash ^= hash >> 29;
        }
        return hash;
    }
};

// Where a path parts. The first branch whose condition holds is taken; the last one's always holds.
struct Branch {
    Condition condition;
    State state;
};
struct Fork {
    Key key;  // of the state that led here
    std::uint32_t at = 0;
    std::vector<Branch> branches;
    std::size_t next = 0;
    std::vector<Node> done;
    unsigned looked_at = 0;
};

Failure refuse(std::string what, std::string hint) {
    return fail(Error(Code::bad_input, std::move(what)).advise(std::move(hint)));
}

constexpr std::size_t most_instructions = 65'536;
// How long the two sides of a branch may be to be taken both, with a choice between their results.
constexpr std::size_t longest_side = 12;
constexpr std::uint32_t nowhere = std::numeric_limits<std::uint32_t>::max();
// How often a branch parts paths before its results are chosen between instead.
constexpr std::uint32_t most_forks = 64;
// How often a loop is gone round before it is looked at.
constexpr std::uint64_t many_rounds = 1024;
// Shown of a path: its last branches.
constexpr std::size_t most_steps = 8;

class Evaluator {
  public:
    Evaluator(const bytecode::Program& program, const EvaluateOptions& options)
        : program_(program),
          options_(options),
          flow_(program),
          reasoner_(*result_.function.terms),
          machine_(program, *result_.function.terms, reasoner_),
          sites_(program.code.size()) {}

    Result<Evaluated> run() {
        for (;;) {
            const auto done = everything();
            if (!done && !again_) return fail(done.error());
            if (done) break;
            // Some branch is to be treated otherwise: what was evaluated until now does not count.
            again_ = false;
            known_.clear();
            result_.function.parts.clear();
            result_.warnings.clear();
        }
        result_.statistics.work = work();
        return std::move(result_);
    }

  private:
    struct Site {
        std::uint32_t forks = 0, visits = 0;
        bool chosen = false;
        std::optional<std::uint32_t> meets = {};
    };
    struct Known {
        Node node;
        unsigned looked_at = 0;
    };
    using Memo = std::unordered_map<Key, Known, HashOfKey>;

    Terms& terms() { return *result_.function.terms; }
    Decisions& decisions() { return *result_.function.decisions; }
    std::uint64_t work() { return result_.statistics.steps + (reasoner_.work + terms().work()) / 4; }

    // ---- each system call by itself

    Result<> everything() {
        std::vector<Range> architectures;
        for (const auto& architecture : options_.architectures) {
            architectures.push_back({architecture.arch, architecture.arch});
            BW_TRY(one_architecture(architecture));
        }
        if (options_.bad_arch) {
            result_.function.other = decisions().action(*options_.bad_arch);
            return {};
        }
        machine_.words[0] = terms().word(Word::nr);
        machine_.words[1] = terms().word(Word::arch);
        reasoner_.exclude({}, together(std::move(architectures)));
        circumstances_ = "another architecture";
        result_.function.other = BW_TRY(one());
        return {};
    }

    static std::vector<Range> together(std::vector<Range> ranges) {
        std::ranges::sort(ranges, {}, &Range::low);
        std::vector<Range> result;
        for (const auto& one : ranges) {
            if (!result.empty() && one.low <= result.back().high + 1)
                result.back().high = std::max(result.back().high, one.high);
            else
                result.push_back(one);
        }
        return result;
    }

    Result<> one_architecture(const Architecture& architecture) {
        machine_.words[1] = terms().constant(architecture.arch);
        reasoner_.exclude({}, {});
        std::vector<std::pair<std::uint32_t, Node>> nodes;
        std::vector<Range> numbers;
        for (const auto number : architecture.numbers) {
            machine_.words[0] = terms().constant(number);
            circumstances_ = fmt::format("{}, nr {}", architecture.name, number);
            nodes.emplace_back(number, BW_TRY(one()));
            numbers.push_back({number, number});
        }
        machine_.words[0] = terms().word(Word::nr);
        numbers = together(std::move(numbers));
        reasoner_.exclude(numbers, {});
        circumstances_ = fmt::format("{}, a number that is not in its table", architecture.name);
        const auto rest = one();
        if (!rest) {
            if (again_) return fail(rest.error());
            return fail(with_witness(rest.error(), architecture, numbers));
        }
        Runs runs(*rest);
        for (const auto& [number, node] : nodes) runs.set(number, number, node);
        auto& part = result_.function.parts.emplace_back(architecture.arch, std::move(runs).done());
        settle_numbers(decisions(), part);
        return {};
    }

    // Every number of the table was fine: names one that is not, and how to end it before.
    Error with_witness(const Error& error, const Architecture& architecture, std::span<const Range> numbers) {
        std::uint64_t witness = reasoner_.range(facts_, terms().word(Word::nr)).low;
        for (const auto& range : numbers)
            if (range.contains(witness)) witness = range.high + 1;
        std::uint32_t last = 0;
        for (const auto number : architecture.numbers)
            if (number < 0x40000000) last = std::max(last, number);
        return Error(error.code(), error.what())
            .because(fmt::format("{}; such as {}", error.why(), witness))
            .advise(fmt::format("{}{}", error.hint().empty() ? "" : error.hint() + "; or ",
                                witness > last
                                    ? fmt::format("end numbers that {} does not have before: `if ((__u32)ctx->nr > {}) "
                                                  "return SECCOMP_RET_ERRNO | ENOSYS;`",
                                                  architecture.name, last)
                                    : fmt::format("look the number up in a set first, in which {} is not", witness)));
    }

    // ---- one evaluation

    Result<Node> one() {
        bound_.clear();
        open_.clear();
        forks_.clear();
        State state = machine_.start();
        const auto node = search(state);
        if (node) return *node;
        if (again_) return fail(node.error());
        facts_ = state.facts;
        return fail(located(node.error(), state.at));
    }

    Result<Node> search(State& state) {
        for (;;) {
            Key key = tidied(state);
            Known now;
            if (const auto* known = remembered(key)) {
                ++result_.statistics.shared;
                now = *known;
            } else {
                if (!open_.try_emplace(key).second) return endless();
                ++result_.statistics.states;
                memory_ += key.size();
                reasoner_.looked_at = 0;
                auto end = BW_TRY(walk(state));
                if (auto* branches = std::get_if<std::vector<Branch>>(&end)) {
                    ++result_.statistics.forks;
                    forks_.push_back({.key = std::move(key),
                                      .at = state.at,
                                      .branches = std::move(*branches),
                                      .next = 1,
                                      .looked_at = reasoner_.looked_at});
                    for (const auto& branch : forks_.back().branches) met(branch.condition, state.at);
                    for (const auto& branch : forks_.back().branches)
                        memory_ += 64 + 8 * branch.state.facts.size() + 8 * branch.state.frames.back().stack.size();
                    state = std::move(forks_.back().branches.front().state);
                    continue;
                }
                now = {std::get<Node>(end), reasoner_.looked_at};
                remember(std::move(key), now);
            }
            // Back to where there is something left to do.
            for (;;) {
                if (forks_.empty()) return now.node;
                Fork& fork = forks_.back();
                fork.done.push_back(now.node);
                fork.looked_at |= now.looked_at;
                if (fork.next < fork.branches.size()) {
                    state = std::move(fork.branches[fork.next++].state);
                    break;
                }
                Node node = fork.done.back();
                for (std::size_t at = fork.done.size() - 1; at-- > 0;)
                    node = decisions().test(fork.branches[at].condition, fork.done[at], node);
                now = {node, fork.looked_at};
                remember(std::move(fork.key), now);
                forks_.pop_back();
            }
        }
    }

    void met(Condition condition, std::size_t at) {
        if (condition != terms().always() && !result_.met_at.contains(condition.id))
            result_.met_at.emplace(condition.id, where(at));
    }

    static Failure endless() {
        return refuse("does not end: it comes here again with nothing changed",
                      "give the loop a bound: `for (i = 0; i < 16; i++)`");
    }

    const Known* remembered(const Key& key) const {
        if (const auto at = known_.find(key); at != known_.end()) return &at->second;
        if (const auto at = bound_.find(key); at != bound_.end()) return &at->second;
        return nullptr;
    }
    // What looked neither at the number nor at the architecture is the same for all of them.
    void remember(Key key, const Known& known) {
        open_.erase(key);
        (known.looked_at == 0 ? known_ : bound_).emplace(std::move(key), known);
    }

    // Forgets what is not read again, and says what is left.
    Key tidied(State& state) {
        if (state.at >= program_.code.size()) return {state.at};
        const Alive& alive = flow_[state.at];
        unsigned words = 0;
        Key key{state.at, static_cast<std::uint32_t>(state.frames.size())};
        const auto add = [&](const Value& value) {
            key.push_back(static_cast<std::uint32_t>(value.kind) | value.object << 8);
            if (value.kind == ValueKind::unset) return;
            // What is at hand is nr, as it can be read again.
            words |= value.kind == ValueKind::context ? 3U : terms().words(value.term) | terms().words(value.entry);
            key.push_back(value.term.id);
            if (value.kind == ValueKind::map_value) key.push_back(value.entry.id);
        };
        for (unsigned one = 0; one < 10; ++one) {
            if ((alive.registers >> one & 1) == 0) state.registers[one] = {};
            add(state.registers[one]);
        }
        for (std::size_t at = 0; at < state.frames.size(); ++at) {
            Frame& frame = state.frames[at];
            const bool is_last = at + 1 == state.frames.size();
            const bool lends = !is_last && frame.lends_stack;
            const std::uint32_t goes_on = is_last ? state.at : state.frames[at + 1].return_to;
            if (!lends && goes_on < program_.code.size()) {
                const auto& stack = flow_[goes_on].stack;
                std::erase_if(frame.stack, [&](const Slot& slot) {
                    for (std::int32_t byte = slot.at; byte < slot.at + slot.size; ++byte)
                        if (stack.test(static_cast<std::size_t>(byte + static_cast<std::int32_t>(stack_size))))
                            return false;
                    return true;
                });
            }
            key.push_back(frame.return_to);
            key.push_back(static_cast<std::uint32_t>(frame.stack.size()));
            for (const auto& slot : frame.stack) {
                key.push_back(static_cast<std::uint32_t>(slot.at) << 8 | static_cast<std::uint32_t>(slot.size));
                add(slot.value);
            }
            if (at == 0) continue;
            const auto needed = frame.return_to < program_.code.size() ? flow_[frame.return_to].registers : 0U;
            for (unsigned one = 0; one < 4; ++one) {
                if ((needed >> (6 + one) & 1) == 0) frame.saved[one] = {};
                add(frame.saved[one]);
            }
        }
        std::erase_if(state.facts, [&](const auto& fact) { return (terms().words(fact.first) & words) == 0; });
        for (const auto& [term, range] : state.facts)
            for (const auto number : {std::uint64_t{term.id}, range.low, range.low >> 32, range.high, range.high >> 32})
                key.push_back(static_cast<std::uint32_t>(number));
        return key;
    }

    // ---- one path

    using End = std::variant<Node, std::vector<Branch>>;

    Result<End> walk(State& state) {
        std::uint64_t rounds = 0;
        Key before;
        for (std::uint32_t last = state.at;;) {
            BW_TRY(within_limits());
            // A loop without a decision that comes to the same state again. Short ones are not looked at.
            if (state.at <= last && ++rounds >= many_rounds) {
                Key now = tidied(state);
                if (now == before) return endless();
                if ((rounds & (rounds - 1)) == 0) before = std::move(now);
            }
            last = state.at;
            if (state.at >= program_.code.size())
                return refuse("runs past its end", "end every function with a return");
            const bpf_insn& insn = program_.code[state.at];
            ++result_.statistics.steps;
            ++sites_[state.at].visits;
            if (!bytecode::is_usual(insn) && insn.code != indirect_call)
                if (const char* problem = bytecode::misuse(insn))
                    return refuse(fmt::format("is no program: {}", problem),
                                  "compile it with clang -target bpf -mcpu=v4");
            const Kind kind = bytecode::kind_of(insn);
            if (insn.dst_reg > 10 || insn.src_reg > 10)
                return refuse("passes more than five arguments to a function", "pass at most five");
            switch (kind) {
                case Kind::arithmetic:
                case Kind::negate:
                case Kind::byte_swap:
                case Kind::move:
                case Kind::load:
                case Kind::store:
                case Kind::store_constant:
                case Kind::wide:
                    if (insn.dst_reg == 10 && kind != Kind::store && kind != Kind::store_constant)
                        return refuse("changes the frame pointer", "");
                    BW_TRY(machine_.compute(state, insn));
                    break;
                case Kind::jump:
                    BW_TRY(go(state, bytecode::distance(insn)));
                    break;
                case Kind::conditional:
                    if (auto branches = BW_TRY(conditional(state, insn)); !branches.empty())
                        return End(std::move(branches));
                    break;
                case Kind::call:
                    if (insn.src_reg == BPF_PSEUDO_CALL) {
                        BW_TRY(enter(state, insn));
                        break;
                    }
                    if (auto branches = BW_TRY(call(state, insn)); !branches.empty()) return End(std::move(branches));
                    break;
                case Kind::exit:
                    if (state.frames.size() == 1) {
                        const Value& result = state.registers[0];
                        if (result.kind == ValueKind::unset)
                            return refuse("returns nothing", "end every path with a return of an action");
                        if (!result.is_number()) return refuse("returns a pointer", "return an action");
                        return End(BW_TRY(returned(decisions(), reasoner_, state.facts, result.term)));
                    }
                    BW_TRY(leave(state));
                    break;
                default:
                    return unsupported(insn, kind);
            }
        }
    }

    static constexpr std::uint8_t indirect_call = BPF_JMP | BPF_CALL | BPF_X;

    static Failure unsupported(const bpf_insn& insn, Kind kind) {
        switch (kind) {
            case Kind::atomic:
                return refuse("uses an atomic operation",
                              "use plain assignments: nothing else runs on a filter's local variables");
            case Kind::indirect_jump:
                return refuse("jumps through a table", "compile with -fno-jump-tables");
            case Kind::may_goto:
                return refuse("loops with may_goto (can_loop)", "give the loop a constant bound");
            case Kind::packet:
                return refuse("reads a packet", "read struct seccomp_data, the argument of the filter");
            default:
                if (insn.code == indirect_call)
                    return refuse("calls through a function pointer",
                                  "call functions by their names: choose with `switch` or `if` which one to call");
                return refuse("uses an unknown instruction", "compile it with clang -target bpf -mcpu=v4");
        }
    }

    Result<> within_limits() {
        const auto& limits = options_.limits;
        std::string what;
        if (work() > limits.work)
            what = fmt::format("takes more than {} steps to evaluate", limits.work);
        else if (terms().size() > limits.terms)
            what = fmt::format("computes more than {} different values", limits.terms);
        else if (decisions().size() > limits.nodes)
            what = fmt::format("makes more than {} decisions", limits.nodes);
        else if (memory_ > limits.memory)
            what = fmt::format("has more states than fit into {} MiB", limits.memory >> 18);
        else
            return {};
        const auto most = std::ranges::max_element(sites_, {}, &Site::visits);
        return refuse(
            fmt::format("{}; it was most often at {}", what, where(static_cast<std::size_t>(most - sites_.begin()))),
            "give loops constant bounds; look numbers up with BPFW_SET or BPFW_MAP instead of code of one's own "
            "(hashing an argument becomes a table of all its values)");
    }

    static Result<> go(State& state, std::int64_t distance) {
        const std::int64_t to = std::int64_t{state.at} + 1 + distance;
        if (to < 0) return refuse("jumps before its start", "compile it with clang -target bpf");
        state.at = static_cast<std::uint32_t>(to);
        return {};
    }

    // Empty: it goes on with `state`.
    Result<std::vector<Branch>> conditional(State& state, const bpf_insn& insn) {
        auto comparison = BW_TRY(machine_.compare(state, insn));
        const Condition condition = reasoner_.simplify(state.facts, comparison.condition);
        comparison.condition = condition;
        if (condition == terms().always() || condition == terms().never()) {
            BW_TRY(go(state, condition == terms().always() ? insn.off : 0));
            return std::vector<Branch>();
        }
        if (choose(state, insn, condition)) return std::vector<Branch>();
        if (again_) return refuse("", "");
        State taken = state, other = state;
        BW_TRY(go(taken, insn.off));
        BW_TRY(go(other, 0));
        const bool may_take = machine_.assume(taken.facts, insn, comparison, true);
        const bool may_pass = machine_.assume(other.facts, insn, comparison, false);
        if (!may_take || !may_pass) {
            state = may_take ? std::move(taken) : std::move(other);
            return std::vector<Branch>();
        }
        std::vector<Branch> branches;
        branches.push_back({condition, std::move(taken)});
        branches.push_back({terms().always(), std::move(other)});
        return branches;
    }

    // Where both sides of a branch only compute numbers and meet again soon, both are computed, and what differs
    // becomes a choice: paths that set one bit each of a mask are else as many as there are masks. Not where addresses
    // are computed from it, which must be known; and, where a choice may be hard to compile, only if paths are too
    // many.
    bool choose(State& state, const bpf_insn& insn, Condition condition) {
        Site& site = sites_[state.at];
        if (!site.meets) site.meets = meeting(state.at, insn);
        if (*site.meets == nowhere) return false;
        // Only the registers are looked at.
        State taken{.at = state.at, .registers = state.registers, .frames = {}, .facts = state.facts};
        State other = taken;
        if (!compute_side(taken, insn.off, *site.meets) || !compute_side(other, 0, *site.meets)) return false;
        return merge(state, condition, taken, other);
    }

    static bool only_computes(const bpf_insn& insn) {
        const Kind kind = bytecode::kind_of(insn);
        return kind >= Kind::arithmetic && kind <= Kind::move && bytecode::misuse(insn) == nullptr && insn.dst_reg < 10;
    }

    // The instructions of one side.
    std::vector<std::uint32_t> side(std::uint32_t from, std::int64_t distance) const {
        std::vector<std::uint32_t> found;
        std::int64_t at = std::int64_t{from} + 1 + distance;
        while (found.size() < longest_side && at >= 0 && at < static_cast<std::int64_t>(program_.code.size())) {
            found.push_back(static_cast<std::uint32_t>(at));
            const bpf_insn& insn = program_.code[static_cast<std::size_t>(at)];
            if (bytecode::kind_of(insn) == Kind::jump && bytecode::misuse(insn) == nullptr)
                at += 1 + std::int64_t{bytecode::distance(insn)};
            else if (only_computes(insn))
                ++at;
            else
                break;
        }
        return found;
    }

    // Where the two sides of the branch at `from` are one again.
    std::uint32_t meeting(std::uint32_t from, const bpf_insn& insn) const {
        const auto one = side(from, insn.off), other = side(from, 0);
        const auto at = std::ranges::find_first_of(one, other);
        return at == one.end() ? nowhere : *at;
    }

    bool compute_side(State& state, std::int64_t distance, std::uint32_t end) {
        if (!go(state, distance)) return false;
        while (state.at != end) {
            const bpf_insn& insn = program_.code[state.at];
            ++result_.statistics.steps;
            if (bytecode::kind_of(insn) == Kind::jump) {
                if (!go(state, bytecode::distance(insn))) return false;
            } else if (!machine_.compute(state, insn)) {
                return false;
            }
        }
        return true;
    }

    bool merge(State& state, Condition condition, const State& taken, const State& other) {
        Site& site = sites_[state.at];
        const Alive& alive = flow_[taken.at];
        auto registers = taken.registers;
        bool is_simple = true;
        for (unsigned one = 0; one < 10; ++one) {
            const Value &a = taken.registers[one], &b = other.registers[one];
            if ((alive.registers >> one & 1) == 0) {
                registers[one] = {};
                continue;
            }
            if (a == b) continue;
            if (!a.is_number() || !b.is_number() || (alive.addresses >> one & 1) != 0) return false;
            is_simple &= terms().value(a.term).has_value() || terms().value(b.term).has_value();
            registers[one] = {.kind = ValueKind::number, .term = terms().select(condition, a.term, b.term)};
        }
        if (!is_simple && !site.chosen) {
            if (++site.forks > most_forks) site.chosen = again_ = true;
            return false;
        }
        ++result_.statistics.choices;
        met(condition, state.at);
        state.registers = registers;
        state.at = taken.at;
        return true;
    }

    Result<> enter(State& state, const bpf_insn& insn) {
        if (state.frames.size() == most_frames)
            return refuse("calls functions more than eight deep", "call less deeply, and never recursively");
        bool lends = false;
        for (unsigned one = 1; one <= 5; ++one) lends |= state.registers[one].kind == ValueKind::stack;
        for (const auto& slot : state.frames.back().stack) lends |= slot.value.kind == ValueKind::stack;
        state.frames.back().lends_stack = lends;
        Frame frame;
        frame.return_to = state.at + 1;
        for (unsigned one = 0; one < 4; ++one) frame.saved[one] = std::exchange(state.registers[6 + one], {});
        state.registers[0] = {};
        state.frames.push_back(std::move(frame));
        state.point_to_stack(terms().constant(0));
        return go(state, insn.imm);
    }

    Result<> leave(State& state) {
        const auto gone = static_cast<std::uint32_t>(state.frames.size() - 1);
        const auto dangles = [&](const Value& value) { return value.kind == ValueKind::stack && value.object == gone; };
        if (dangles(state.registers[0]))
            return refuse("returns the address of a local variable", "return values, not pointers to locals");
        const Frame frame = std::move(state.frames.back());
        state.frames.pop_back();
        for (auto& below : state.frames)
            std::erase_if(below.stack, [&](const Slot& slot) { return dangles(slot.value); });
        for (unsigned one = 1; one <= 5; ++one) state.registers[one] = {};
        for (unsigned one = 0; one < 4; ++one) state.registers[6 + one] = frame.saved[one];
        state.frames.back().lends_stack = false;
        state.point_to_stack(terms().constant(0));
        state.at = frame.return_to;
        return {};
    }

    Result<std::vector<Branch>> call(State& state, const bpf_insn& insn) {
        if (insn.src_reg != 0)
            return refuse("calls a function of the kernel",
                          "a filter calls only functions of its own, bpfw_has() and bpfw_get()");
        if (insn.imm == BPF_FUNC_loop) return refuse("calls bpf_loop()", "write a `for` loop with a constant bound");
        if (insn.imm != BPF_FUNC_map_lookup_elem)
            return refuse(
                fmt::format("calls helper {} of the kernel", insn.imm),
                "a filter learns nothing but struct seccomp_data and its maps: bpf_map_lookup_elem() is the only "
                "helper");
        if (const auto given = what_is_cut(program_, terms(), reasoner_, state)) {
            Warning warning{
                where(state.at),
                fmt::format("the lookup in `{}` cuts {} to {} bits", program_.maps[state.registers[1].object].name,
                            describe(terms(), *given), 8 * program_.maps[state.registers[1].object].key_size)};
            if (std::ranges::find(result_.warnings, warning) == result_.warnings.end())
                result_.warnings.push_back(std::move(warning));
        }
        const auto found = BW_TRY(look_up(program_, terms(), reasoner_, machine_, state));
        for (unsigned one = 1; one <= 5; ++one) state.registers[one] = {};
        ++state.at;
        std::vector<Branch> branches;
        Facts facts = state.facts;
        for (const auto& one : found) {
            State next = state;
            next.facts = facts;
            next.registers[0] = one.value;
            if (!reasoner_.assume(next.facts, one.condition, true)) continue;
            if (one.value.kind == ValueKind::map_value)
                (void)reasoner_.limit(next.facts, one.value.entry,
                                      {0, program_.maps[one.value.object].entries.size() - 1});
            branches.push_back({one.condition, std::move(next)});
            if (!reasoner_.assume(facts, one.condition, false)) break;
        }
        if (branches.size() != 1) {
            --state.at;
            if (branches.empty()) return refuse("looks up on a path that cannot be", "");
            branches.back().condition = terms().always();
            return branches;
        }
        state = std::move(branches.front().state);
        return std::vector<Branch>();
    }

    // ---- what is said of it

    std::string where(std::size_t at) const {
        const auto* line = program_.line_of(at);
        return line == nullptr ? fmt::format("instruction {}", at)
                               : fmt::format("{}:{}", printable(line->file), line->line);
    }
    std::string source(std::size_t at) const {
        const auto* line = program_.line_of(at);
        return line == nullptr ? "" : printable(line->text);
    }

    Error located(const Error& error, std::size_t at) {
        std::string why;
        if (const auto text = source(at); !text.empty()) why = fmt::format("`{}`, ", text);
        why += fmt::format("reached with {}", circumstances_);
        const std::size_t first = forks_.size() > most_steps ? forks_.size() - most_steps : 0;
        if (first > 0) why += fmt::format(", {} branches", first);
        for (std::size_t one = first; one < forks_.size(); ++one) {
            const Fork& fork = forks_[one];
            const std::size_t taken = fork.next - 1;
            Condition condition = fork.branches[taken].condition;
            if (condition == terms().always() && fork.branches.size() == 2)
                condition = terms().opposite(fork.branches.front().condition);
            const auto* line = program_.line_of(fork.at);
            why += fmt::format(", {} {}{}", line == nullptr ? "instruction" : "line",
                               line == nullptr ? fork.at : line->line,
                               condition == terms().always() ? ": nothing found" : ": " + describe(terms(), condition));
        }
        return Error(error.code(), fmt::format("{}: {}", where(at), error.what()))
            .because(std::move(why))
            .advise(error.hint());
    }

    const bytecode::Program& program_;
    const EvaluateOptions& options_;
    Flow flow_;
    Evaluated result_;
    Reasoner reasoner_;
    Machine machine_;
    std::vector<Site> sites_;
    Memo known_, bound_;
    Memo open_;  // being evaluated
    std::vector<Fork> forks_;
    std::size_t memory_ = 0;
    std::string circumstances_;
    Facts facts_;  // of the path that was refused
    bool again_ = false;
};

}  // namespace

Result<Evaluated> evaluate(const bytecode::Program& program, const EvaluateOptions& options) {
    if (program.code.empty()) return refuse("the program has no instructions", "write a function in section `seccomp`");
    if (program.code.size() > most_instructions)
        return refuse(fmt::format("the program has more than {} instructions", most_instructions), "make it smaller");
    BW_TRY(bytecode::check(program));
    return Evaluator(program, options).run();
}

}  // namespace bpfwarden::filter
