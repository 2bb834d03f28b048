// SPDX-License-Identifier: Apache-2.0
#include "filter/read_classic.hpp"

#include <fmt/format.h>

#include <array>
#include <map>

#include "filter/action.hpp"

namespace bpfwarden::filter {

namespace {

constexpr std::uint64_t word_mask = 0xffffffff;
constexpr std::size_t most_states = 400'000;

// Registers and scratch memory, by the number of their term; 0: has none, or is not looked at any more.
constexpr std::size_t a_at = 0, x_at = 1, memory_at = 2, places = memory_at + BPF_MEMWORDS;
using State = std::array<std::uint32_t, places>;
using Live = std::uint32_t;  // a bit for each place
constexpr Live bit(std::size_t place) { return Live{1} << place; }

// What comes of one state at one instruction.
struct Step {
    enum class Kind { result, go_on, test } kind = Kind::go_on;
    Node result;
    Condition condition;
    std::size_t yes = 0, no = 0;  // steps
};

class Reader {
  public:
    explicit Reader(std::span<const sock_filter> program) : program_(program), at_(program.size()) { find_live(); }

    Result<Function> read() {
        State start{};
        start[a_at] = start[x_at] = terms_.constant(0).id;
        (void)step_of(0, start);
        // Jumps go forward only, so every state of an instruction is known when it is reached.
        for (std::size_t pc = 0; pc < program_.size(); ++pc)
            for (const auto& [state, step] : at_[pc]) {
                if (steps_.size() > most_states)
                    return fail(Error(Code::failed, "the program is too large to be understood")
                                    .because(fmt::format("it has more than {} states", most_states)));
                if (!execute(pc, state, step))
                    return fail(Error(Code::failed, "the program is not understood")
                                    .because(fmt::format("instruction {} returns a value that is not one of few", pc)));
            }
        nodes_of_steps();
        return std::move(function_);
    }

  private:
    void nodes_of_steps() {
        // A step's ways are at later instructions, and those were made known after it.
        std::vector<Node> nodes(steps_.size());
        nodes[killed] = decisions_.action(0);
        for (std::size_t pc = program_.size(); pc-- > 0;)
            for (const auto& [state, number] : at_[pc]) {
                const auto& step = steps_[number];
                nodes[number] = step.kind == Step::Kind::result ? step.result
                                : step.kind == Step::Kind::go_on
                                    ? nodes[step.yes]
                                    : decisions_.test(step.condition, nodes[step.yes], nodes[step.no]);
            }
        function_.other = nodes[at_[0].begin()->second];
    }

    // Which places are read before they are written, from each instruction on.
    void find_live() {
        live_.resize(program_.size() + 1, 0);
        for (std::size_t pc = program_.size(); pc-- > 0;) {
            const auto& insn = program_[pc];
            const Live next = live_[pc + 1];
            const bool by_x = BPF_SRC(insn.code) == BPF_X;
            switch (BPF_CLASS(insn.code)) {
                case BPF_LD:
                    live_[pc] = (next & ~bit(a_at)) | (BPF_MODE(insn.code) == BPF_MEM ? bit(memory_at + insn.k) : 0);
                    break;
                case BPF_LDX:
                    live_[pc] = (next & ~bit(x_at)) | (BPF_MODE(insn.code) == BPF_MEM ? bit(memory_at + insn.k) : 0);
                    break;
                case BPF_ST:
                    live_[pc] = (next & ~bit(memory_at + insn.k)) | bit(a_at);
                    break;
                case BPF_STX:
                    live_[pc] = (next & ~bit(memory_at + insn.k)) | bit(x_at);
                    break;
                case BPF_ALU:
                    live_[pc] = next | bit(a_at) | (by_x && BPF_OP(insn.code) != BPF_NEG ? bit(x_at) : 0);
                    break;
                case BPF_JMP:
                    if (BPF_OP(insn.code) == BPF_JA)
                        live_[pc] = live_[pc + 1 + insn.k];
                    else
                        live_[pc] =
                            live_[pc + 1 + insn.jt] | live_[pc + 1 + insn.jf] | bit(a_at) | (by_x ? bit(x_at) : 0);
                    break;
                case BPF_RET:
                    live_[pc] = BPF_RVAL(insn.code) == BPF_A ? bit(a_at) : 0;
                    break;
                default:  // BPF_MISC
                    live_[pc] = BPF_MISCOP(insn.code) == BPF_TAX ? (next & ~bit(x_at)) | bit(a_at)
                                                                 : (next & ~bit(a_at)) | bit(x_at);
                    break;
            }
        }
    }

    std::size_t step_of(std::size_t pc, State state) {
        for (std::size_t place = 0; place < places; ++place)
            if ((live_[pc] & bit(place)) == 0) state[place] = 0;
        const auto [at, is_new] = at_[pc].try_emplace(state, steps_.size());
        if (is_new) steps_.emplace_back();
        return at->second;
    }

    Term word(const sock_filter& insn, const State& state) {
        switch (BPF_MODE(insn.code)) {
            case BPF_ABS:
                return terms_.word(static_cast<Word>(insn.k / 4));
            case BPF_LEN:
                return terms_.constant(sizeof(Data));
            case BPF_MEM:
                return Term{state[memory_at + insn.k]};
            default:
                return terms_.constant(insn.k);
        }
    }

    bool execute(std::size_t pc, State state, std::size_t number) {
        const auto& insn = program_[pc];
        const Term a{state[a_at]}, x{state[x_at]};
        const auto operand = [&] { return BPF_SRC(insn.code) == BPF_X ? x : terms_.constant(insn.k); };
        const auto go_on = [&](std::size_t to) {
            const auto next = step_of(to, state);
            steps_[number] = {.kind = Step::Kind::go_on, .result = {}, .condition = {}, .yes = next, .no = next};
            return true;
        };
        switch (BPF_CLASS(insn.code)) {
            case BPF_LD:
                state[a_at] = word(insn, state).id;
                return go_on(pc + 1);
            case BPF_LDX:
                state[x_at] = word(insn, state).id;
                return go_on(pc + 1);
            case BPF_ST:
                state[memory_at + insn.k] = a.id;
                return go_on(pc + 1);
            case BPF_STX:
                state[memory_at + insn.k] = x.id;
                return go_on(pc + 1);
            case BPF_ALU: {
                const bool divides_by_x = BPF_OP(insn.code) == BPF_DIV && BPF_SRC(insn.code) == BPF_X;
                state[a_at] = compute(insn, a, operand()).id;
                if (!divides_by_x) return go_on(pc + 1);
                // The kernel ends the program with 0 then.
                const auto next = step_of(pc + 1, state);
                steps_[number] = {.kind = Step::Kind::test,
                                  .result = {},
                                  .condition = terms_.equal(x, terms_.constant(0)),
                                  .yes = killed,
                                  .no = next};
                return true;
            }
            case BPF_JMP: {
                if (BPF_OP(insn.code) == BPF_JA) return go_on(pc + 1 + insn.k);
                const auto condition = compare(insn, a, operand());
                const auto yes = step_of(pc + 1 + insn.jt, state), no = step_of(pc + 1 + insn.jf, state);
                steps_[number] = {.kind = Step::Kind::test, .result = {}, .condition = condition, .yes = yes, .no = no};
                return true;
            }
            case BPF_RET: {
                const auto result =
                    BPF_RVAL(insn.code) == BPF_A ? returned(a, 0) : std::optional(decisions_.action(insn.k));
                if (!result) return false;
                steps_[number] = {.kind = Step::Kind::result, .result = *result, .condition = {}};
                return true;
            }
            default:  // BPF_MISC
                if (BPF_MISCOP(insn.code) == BPF_TAX)
                    state[x_at] = a.id;
                else
                    state[a_at] = x.id;
                return go_on(pc + 1);
        }
    }

    Term compute(const sock_filter& insn, Term a, Term b) {
        const auto cut = [this](Term term) {
            return terms_.binary(TermKind::bit_and, term, terms_.constant(word_mask));
        };
        // As the kernel's conversion has it: eBPF looks at five bits of the amount.
        const auto amount = [this](Term term) { return terms_.binary(TermKind::bit_and, term, terms_.constant(31)); };
        switch (BPF_OP(insn.code)) {
            case BPF_ADD:
                return cut(terms_.binary(TermKind::add, a, b));
            case BPF_SUB:
                return cut(terms_.subtract(a, b));
            case BPF_MUL:
                return cut(terms_.binary(TermKind::multiply, a, b));
            case BPF_DIV:
                return terms_.binary(TermKind::divide, a, b);
            case BPF_AND:
                return terms_.binary(TermKind::bit_and, a, b);
            case BPF_OR:
                return terms_.binary(TermKind::bit_or, a, b);
            case BPF_XOR:
                return terms_.binary(TermKind::bit_xor, a, b);
            case BPF_LSH:
                return cut(terms_.binary(TermKind::shift_left, a, amount(b)));
            case BPF_RSH:
                return terms_.binary(TermKind::shift_right, a, amount(b));
            default:  // BPF_NEG
                return cut(terms_.subtract(terms_.constant(0), a));
        }
    }

    Condition compare(const sock_filter& insn, Term a, Term b) {
        switch (BPF_OP(insn.code)) {
            case BPF_JEQ:
                return terms_.equal(a, b);
            case BPF_JGT:
                return terms_.below(b, a);
            case BPF_JGE:
                return terms_.opposite(terms_.below(a, b));
            default:  // BPF_JSET
                return terms_.opposite(terms_.equal(terms_.binary(TermKind::bit_and, a, b), terms_.constant(0)));
        }
    }

    // A computed value: its action must be known, or be chosen by few conditions.
    std::optional<Node> returned(Term value, unsigned depth) {
        const Term upper = terms_.binary(TermKind::bit_and, value, terms_.constant(action_mask));
        if (const auto action = terms_.value(upper)) {
            const auto known = static_cast<std::uint32_t>(*action);
            // Data that the kernel ignores is none; of what is no action nothing is ignored.
            if (normalized(known | 1) == known) return decisions_.action(known);
            return decisions_.computed(known, value);
        }
        const auto view = terms_[value];
        if (view.kind == TermKind::select && depth < 64) {
            const auto yes = returned(view.a, depth + 1), no = returned(view.b, depth + 1);
            if (!yes || !no) return std::nullopt;
            return decisions_.test(view.condition, *yes, *no);
        }
        if (view.kind == TermKind::table) {
            std::map<std::uint64_t, std::vector<std::uint64_t>> where;
            for (std::size_t i = 0; i < view.values.size(); ++i)
                if ((i & ~terms_.bits(view.a)) == 0) where[view.values[i] & word_mask].push_back(i);
            std::optional<Node> result;
            for (const auto& [one, indices] : where) {
                const auto node = decisions_.action(static_cast<std::uint32_t>(one));
                result = result ? decisions_.test(terms_.one_of(view.a, indices), node, *result) : node;
            }
            return result;
        }
        return std::nullopt;
    }

    std::span<const sock_filter> program_;
    Function function_;
    Terms& terms_ = *function_.terms;
    Decisions& decisions_ = *function_.decisions;
    std::vector<Live> live_;
    std::vector<std::map<State, std::size_t>> at_;  // of each instruction
    // The first is no state's: what a division by zero ends with.
    static constexpr std::size_t killed = 0;
    std::vector<Step> steps_{1};
};

}  // namespace

Result<Function> read_classic(std::span<const sock_filter> program) { return Reader(program).read(); }

}  // namespace bpfwarden::filter
