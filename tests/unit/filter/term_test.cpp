// SPDX-License-Identifier: Apache-2.0
// Whatever form a term is brought into, it is worth what a plain evaluation of the same expression is.
#include "filter/term.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>

namespace bpfwarden::filter {
namespace {

using Number = std::uint64_t;

// What the specification says, written once more and plainly.
Number plain(TermKind kind, Number a, Number b) {
    const auto sa = static_cast<std::int64_t>(a), sb = static_cast<std::int64_t>(b);
    const bool overflows = sb == -1;
    switch (kind) {
        case TermKind::add:
            return a + b;
        case TermKind::multiply:
            return a * b;
        case TermKind::divide:
            return b == 0 ? 0 : a / b;
        case TermKind::modulo:
            return b == 0 ? a : a % b;
        case TermKind::divide_signed:
            return b == 0 ? 0 : overflows ? Number{0} - a : static_cast<Number>(sa / sb);
        case TermKind::modulo_signed:
            return b == 0 ? a : overflows ? 0 : static_cast<Number>(sa % sb);
        case TermKind::bit_and:
            return a & b;
        case TermKind::bit_or:
            return a | b;
        case TermKind::bit_xor:
            return a ^ b;
        case TermKind::shift_left:
            return a << b;
        case TermKind::shift_right:
            return a >> b;
        case TermKind::shift_right_signed:
            return static_cast<Number>(sa >> b);
        default:
            ADD_FAILURE();
            return 0;
    }
}

struct Value {
    Term term;
    std::function<Number(const Data&)> plain;
};
struct Truth {
    Condition condition;
    std::function<bool(const Data&)> plain;
};

class Maker {
  public:
    Maker(Terms& terms, unsigned seed) : terms_(terms), random_(seed) {}

    Number number() {
        static constexpr Number interesting[] = {
            0, 1, 2, 7, 0xff, 0x100, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, ~Number{0}, Number{1} << 63};
        switch (pick(4)) {
            case 0:
                return interesting[pick(std::size(interesting))];
            case 1:
                return pick(70);
            case 2:
                return Number{1} << pick(64);
            default:
                return random_();
        }
    }

    Value value(unsigned depth) {
        switch (depth == 0 ? pick(3) : pick(12)) {
            case 0: {
                const Number k = number();
                return {terms_.constant(k), [k](const Data&) { return k; }};
            }
            case 1: {
                const auto which = static_cast<Word>(pick(word_count));
                return {terms_.word(which), [which](const Data& data) { return Number{data[which]}; }};
            }
            case 2: {
                const auto arg = static_cast<unsigned>(pick(6));
                return {terms_.pair(arg_low(arg), arg_high(arg)), [arg](const Data& data) { return data.arg(arg); }};
            }
            case 3: {
                static constexpr unsigned sizes[] = {8, 16, 32};
                const unsigned bits = sizes[pick(3)];
                auto a = value(depth - 1);
                return {terms_.sign_extend(a.term, bits), [a, bits](const Data& data) {
                            const auto by = 64 - bits;
                            return static_cast<Number>(static_cast<std::int64_t>(a.plain(data) << by) >> by);
                        }};
            }
            case 4: {
                auto index = value(depth - 1);
                const Number mask = (Number{1} << pick(5)) - 1;
                std::vector<Number> values;
                for (Number i = 0; i <= mask; ++i) values.push_back(number());
                const Term at = terms_.binary(TermKind::bit_and, index.term, terms_.constant(mask));
                return {terms_.table(at, values),
                        [index, mask, values](const Data& data) { return values[index.plain(data) & mask]; }};
            }
            case 5: {
                auto c = truth(depth - 1);
                auto a = value(depth - 1), b = value(depth - 1);
                return {terms_.select(c.condition, a.term, b.term),
                        [=](const Data& data) { return c.plain(data) ? a.plain(data) : b.plain(data); }};
            }
            case 6: {
                auto a = value(depth - 1), b = value(depth - 1);
                return {terms_.subtract(a.term, b.term),
                        [=](const Data& data) { return a.plain(data) - b.plain(data); }};
            }
            default: {
                const auto kind = static_cast<TermKind>(static_cast<unsigned>(TermKind::add) + pick(12));
                auto a = value(depth - 1), b = value(depth - 1);
                const bool shifts = kind == TermKind::shift_left || kind == TermKind::shift_right ||
                                    kind == TermKind::shift_right_signed;
                const Term amount = shifts ? terms_.binary(TermKind::bit_and, b.term, terms_.constant(63)) : b.term;
                return {terms_.binary(kind, a.term, amount), [=](const Data& data) {
                            const Number second = b.plain(data);
                            return plain(kind, a.plain(data), shifts ? second & 63 : second);
                        }};
            }
        }
    }

    Truth truth(unsigned depth) {
        switch (pick(depth == 0 ? 4 : 7)) {
            case 0: {
                auto a = value(depth), b = value(depth);
                return {terms_.equal(a.term, b.term), [=](const Data& data) { return a.plain(data) == b.plain(data); }};
            }
            case 1: {
                auto a = value(depth), b = value(depth);
                return {terms_.below(a.term, b.term), [=](const Data& data) { return a.plain(data) < b.plain(data); }};
            }
            case 2: {
                auto a = value(depth), b = value(depth);
                return {terms_.below_signed(a.term, b.term), [=](const Data& data) {
                            return static_cast<std::int64_t>(a.plain(data)) < static_cast<std::int64_t>(b.plain(data));
                        }};
            }
            case 3: {
                auto a = value(depth);
                std::vector<Number> values;
                for (std::size_t i = pick(6); i > 0; --i) values.push_back(number());
                return {terms_.one_of(a.term, values), [=](const Data& data) {
                            const Number at = a.plain(data);
                            return std::ranges::find(values, at) != values.end();
                        }};
            }
            case 4: {
                auto c = truth(depth - 1), d = truth(depth - 1);
                return {terms_.both(c.condition, d.condition),
                        [=](const Data& data) { return c.plain(data) && d.plain(data); }};
            }
            case 5: {
                auto c = truth(depth - 1), d = truth(depth - 1);
                return {terms_.either(c.condition, d.condition),
                        [=](const Data& data) { return c.plain(data) || d.plain(data); }};
            }
            default: {
                auto c = truth(depth - 1);
                return {terms_.opposite(c.condition), [=](const Data& data) { return !c.plain(data); }};
            }
        }
    }

    Data data() {
        Data made;
        for (auto& word : made.words) word = static_cast<std::uint32_t>(number());
        return made;
    }

  private:
    std::size_t pick(std::size_t below) { return random_() % below; }
    Terms& terms_;
    std::mt19937_64 random_;
};

TEST(Terms, AreWorthWhatAPlainEvaluationIs) {
    for (unsigned seed = 0; seed < 20000; ++seed) {
        Terms terms;
        Maker maker(terms, seed);
        const auto value = maker.value(seed % 5);
        const auto truth = maker.truth(seed % 4);
        for (int i = 0; i < 20; ++i) {
            const auto data = maker.data();
            const Number is = terms.evaluate(value.term, data);
            ASSERT_EQ(is, value.plain(data)) << "seed " << seed;
            ASSERT_EQ(is & ~terms.bits(value.term), 0U) << "seed " << seed;
            ASSERT_EQ(terms.holds(truth.condition, data), truth.plain(data)) << "seed " << seed;
        }
    }
}

TEST(Terms, EqualOnesAreOne) {
    Terms terms;
    const Term a = terms.pair(arg_low(0), arg_high(0)), five = terms.constant(5);
    EXPECT_EQ(terms.binary(TermKind::add, a, five), terms.binary(TermKind::add, five, a));
    EXPECT_EQ(terms.subtract(terms.binary(TermKind::add, a, five), five), a);
    EXPECT_EQ(terms.binary(TermKind::bit_and, a, terms.constant(0xffffffff)), terms.word(arg_low(0)));
    EXPECT_EQ(terms.binary(TermKind::shift_right, a, terms.constant(32)), terms.word(arg_high(0)));
    EXPECT_EQ(terms.equal(terms.subtract(a, five), terms.constant(0)), terms.equal(a, five));
}

// Comparisons of ints, as C has them, become unsigned ones of the word.
TEST(Terms, SignedComparisonsOfAWord) {
    Terms terms;
    const Term nr = terms.word(Word::nr);
    const Condition negative = terms.below_signed(terms.sign_extend(nr, 32), terms.constant(0));
    EXPECT_EQ(negative, terms.opposite(terms.below(nr, terms.constant(0x80000000))));
}

}  // namespace
}  // namespace bpfwarden::filter
