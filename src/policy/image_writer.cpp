// SPDX-License-Identifier: Apache-2.0
#include "policy/image_writer.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"
#include "policy/shared_evaluator.hpp"

namespace bpfwarden::policy {

template <class T>
static std::string bytes_of(const T* first, std::size_t count) {
    std::string bytes(count * sizeof(T), '\0');
    if (count) std::memcpy(bytes.data(), first, bytes.size());
    return bytes;
}

std::uint32_t ImageParts::intern_set(SetContents set) {
    const auto [at, fresh] = set_numbers_.try_emplace(std::move(set), set_count());
    if (fresh) sets_.push_back(&at->first);
    return at->second;
}

std::uint32_t ImageParts::intern_cell(const struct bw_cell& cell) {
    const auto [at, fresh] = cell_numbers_.try_emplace(bytes_of(&cell, 1), static_cast<std::uint32_t>(cells.size()));
    if (fresh) cells.push_back(cell);
    return at->second;
}

std::uint32_t ImageParts::intern_net(const std::vector<bw_net_rule>& run) {
    const auto [at, fresh] =
        net_places_.try_emplace(bytes_of(run.data(), run.size()), static_cast<std::uint32_t>(net.size()));
    if (fresh) net.insert(net.end(), run.begin(), run.end());
    return at->second;
}

namespace {

// Things that each have two buckets where they can be, of two places each.
class Buckets {
  public:
    static constexpr std::uint32_t free = ~0U;

    // HASHES: of each thing; false if one finds no place.
    bool fill(const std::vector<std::uint32_t>& hashes, std::uint32_t mask) {
        mask_ = mask;
        hashes_ = &hashes;
        places_.assign((std::size_t{mask} + 1) * 2, free);
        for (std::uint32_t thing = 0; thing < hashes.size(); ++thing)
            if (!put(thing)) return false;
        return true;
    }
    const std::vector<std::uint32_t>& places() const { return places_; }

  private:
    bool put(std::uint32_t thing) {
        std::uint32_t bucket = (*hashes_)[thing] & mask_;
        for (unsigned turn = 0; turn < 256; ++turn) {
            const auto other = other_bucket(thing, bucket);
            for (const auto one : {bucket, other})
                for (std::size_t i = 0; i < 2; ++i)
                    if (auto& place = places_[one * 2 + i]; place == free) {
                        place = thing;
                        return true;
                    }
            // Whoever is there moves to its other bucket.
            std::swap(thing, places_[other * 2 + turn % 2]);
            bucket = other_bucket(thing, other);
        }
        return false;
    }
    std::uint32_t other_bucket(std::uint32_t thing, std::uint32_t bucket) const {
        const auto hash = (*hashes_)[thing];
        const auto first = hash & mask_;
        return bucket == first ? bw_edge_second(hash, mask_) : first;
    }

    std::uint32_t mask_ = 0;
    const std::vector<std::uint32_t>* hashes_ = nullptr;
    std::vector<std::uint32_t> places_;
};

class Writer {
  public:
    explicit Writer(const ImageParts& parts) : parts_(parts) {}

    Result<std::vector<Line>> run() {
        lines_.resize(3);
        head_.magic = BW_IMAGE_MAGIC;
        head_.version = BW_IMAGE_VERSION;
        head_.domains = static_cast<std::uint32_t>(parts_.domains.size());
        head_.root = parts_.automaton.start(Start::path);
        head_.detached = parts_.automaton.start(Start::detached);
        tail_.cgroups = parts_.automaton.start(Start::cgroups);
        tail_.types = parts_.automaton.start(Start::types);
        // What every decision reads comes first.
        states();
        if (auto done = edges(); !done) return fail(std::move(done).error());
        head_.cell_index_line = add(parts_.cell_index);
        auto cells = parts_.cells;
        std::vector<std::uint32_t> list;
        lists(list);
        auto domains = domain_lines(cells, list);
        head_.domain_line = add(domains);
        head_.cell_line = add(cells);
        globs();
        if (auto done = identities(); !done) return fail(std::move(done).error());
        if (auto done = pins(); !done) return fail(std::move(done).error());
        tail_.set_line = add(sets_);
        tail_.sets = static_cast<std::uint32_t>(sets_.size());
        tail_.any_entries = static_cast<std::uint32_t>(list.size());
        tail_.any_entry_count = static_cast<std::uint32_t>(parts_.any_ways.size());
        list.insert(list.end(), parts_.any_ways.begin(), parts_.any_ways.end());
        tail_.list_line = add(list);
        tail_.rule_line = add(parts_.rules);
        tail_.rules = static_cast<std::uint32_t>(parts_.rules.size());
        auto ways = parts_.ways;
        way_pins(ways);
        tail_.entry_line = add(ways);
        tail_.entries = static_cast<std::uint32_t>(parts_.ways.size());
        tail_.net_line = add(parts_.net);
        if (lines_.size() > most_lines)
            return fail(Error(Code::bad_input,
                              fmt::format("the image of this policy would have {}", format_size(lines_.size() * 64)))
                            .because(fmt::format("an image has at most {}", format_size(most_lines * 64)))
                            .advise("fewer rules, or fewer domains for them"));
        head_.lines = static_cast<std::uint32_t>(lines_.size());
        std::memcpy(at(0), &head_, sizeof head_);
        std::memcpy(at(1), &tail_, sizeof tail_);
        std::memcpy(at(2), &pins_, sizeof pins_);
        return std::move(lines_);
    }

  private:
    void* at(std::size_t line) { return static_cast<void*>(lines_.data() + line); }

    template <class T>
    std::uint32_t add(const std::vector<T>& things) {
        const auto line = static_cast<std::uint32_t>(lines_.size());
        const auto bytes = things.size() * sizeof(T);
        lines_.resize(lines_.size() + (bytes + sizeof(Line) - 1) / sizeof(Line));
        if (bytes) std::memcpy(at(line), things.data(), bytes);
        return line;
    }

    void states() {
        // Rows of targets, equal ones once: first the live line.
        std::map<std::string, std::uint32_t> live_numbers;
        std::vector<bw_live> live;
        std::map<std::vector<std::uint32_t>, std::uint32_t> rows;
        std::vector<std::uint32_t> targets;
        std::vector<bw_state> states;
        for (std::size_t i = 0; i < parts_.automaton.states.size(); ++i) {
            const auto& from = parts_.automaton.states[i];
            const auto [at, fresh] =
                live_numbers.try_emplace(bytes_of(&parts_.live[i], 1), static_cast<std::uint32_t>(live.size()));
            if (fresh) live.push_back(parts_.live[i]);
            std::vector<std::uint32_t> row{at->second};
            row.insert(row.end(), from.targets.begin(), from.targets.end());
            const auto [place, first] = rows.try_emplace(std::move(row), static_cast<std::uint32_t>(targets.size()));
            if (first) targets.insert(targets.end(), place->first.begin(), place->first.end());
            states.push_back({from.set, from.other, from.row, place->second});
        }
        tail_.live_line = add(live);
        const auto first = add(targets) * static_cast<std::uint32_t>(sizeof(Line) / sizeof(std::uint32_t));
        for (auto& state : states) state.targets += first;
        head_.state_line = add(states);
    }

    Result<> edges() {
        const auto& automaton = parts_.automaton;
        std::vector<struct bw_edge> all;
        std::map<std::uint32_t, std::uint32_t> texts;  // name -> line
        std::vector<std::array<__u64, 3>> keys;
        for (std::uint32_t from = 0; from < automaton.states.size(); ++from)
            for (const auto& edge : automaton.states[from].edges) {
                const std::string& name = automaton.names[edge.name];
                const NameWords words(name);
                struct bw_edge line{};
                line.from = from;
                line.to = edge.to;
                keys.push_back(words.key());
                if (name.size() <= BW_EDGE_INLINE) {
                    std::ranges::copy(keys.back(), line.words);
                } else {
                    const auto [at, fresh] = texts.try_emplace(edge.name, 0);
                    if (fresh) {
                        std::vector<char> text(name.begin(), name.end());
                        at->second = add(text);
                    }
                    line.longer.text_line = at->second;
                    line.longer.length = static_cast<std::uint32_t>(name.size());
                    line.longer.tag = BW_EDGE_LONG;
                }
                all.push_back(line);
            }
        std::vector<std::uint32_t> hashes(all.size());
        const auto hash = [&](std::uint32_t seed) {
            for (std::size_t i = 0; i < all.size(); ++i) hashes[i] = bw_edge_hash(seed, all[i].from, keys[i].data());
        };
        const auto filled = place(all.size(), hashes, hash, head_.edge_mask, head_.edge_seed);
        if (!filled) return fail(std::move(filled).error());
        std::vector<struct bw_edge> table(filled->size());
        for (std::size_t i = 0; i < table.size(); ++i)
            if ((*filled)[i] != Buckets::free) table[i] = all[(*filled)[i]];
        head_.edge_line = add(table);
        return {};
    }

    // Tries seeds, then twice the buckets. At most half of the places are taken, where a few seeds do.
    template <class Hash>
    static Result<std::vector<std::uint32_t>> place(std::size_t count, std::vector<std::uint32_t>& hashes, Hash hash,
                                                    std::uint32_t& mask, std::uint32_t& seed) {
        std::size_t buckets = 1;
        while (buckets < count) buckets *= 2;
        Buckets table;
        for (unsigned growth = 0; growth < 4; ++growth, buckets *= 2) {
            mask = static_cast<std::uint32_t>(buckets - 1);
            for (seed = 0; seed < 32; ++seed) {
                hash(seed);
                if (table.fill(hashes, mask)) return table.places();
            }
        }
        return fail(Error(Code::bad_input, "the names of this policy find no place in its table")
                        .because("too many of them hash alike"));
    }

    Result<> identities() {
        const auto& files = parts_.identities;
        tail_.identities = static_cast<std::uint32_t>(files.size());
        if (files.empty()) return {};
        std::vector<std::uint32_t> hashes(files.size());
        // One seed only: the hash of a file does not depend on the image.
        const auto hash = [&](std::uint32_t) {
            for (std::size_t i = 0; i < files.size(); ++i)
                hashes[i] = bw_identity_hash(files[i].device, files[i].inode);
        };
        std::uint32_t seed = 0;
        const auto filled = place(files.size(), hashes, hash, tail_.identity_mask, seed);
        if (!filled) return fail(std::move(filled).error());
        std::vector<bw_identity> table(filled->size());
        for (std::size_t i = 0; i < table.size(); ++i)
            if ((*filled)[i] != Buckets::free) table[i] = files[(*filled)[i]];
        tail_.identity_line = add(table);
        return {};
    }

    // The line that says what a way in wants its file to be.
    void way_pins(std::vector<bw_entry>& ways) {
        for (std::size_t i = 0; i < ways.size(); ++i) {
            const auto& wanted = parts_.way_pins[i];
            if (std::ranges::any_of(wanted.numbers, [](auto number) { return number != 0; }))
                ways[i].pins = add(std::vector{wanted});
        }
    }

    Result<> pins() {
        pins_.objects = parts_.rule_kinds;
        if (parts_.pins.empty()) return {};
        std::vector<std::uint32_t> hashes(parts_.pins.size());
        const auto hash = [&](std::uint32_t) {
            for (std::size_t i = 0; i < hashes.size(); ++i)
                hashes[i] = bw_pin_hash(parts_.pins[i].kind, parts_.pins[i].words);
        };
        std::uint32_t seed = 0;
        const auto filled = place(hashes.size(), hashes, hash, pins_.mask, seed);
        if (!filled) return fail(std::move(filled).error());
        std::vector<bw_pin> table(filled->size());
        for (std::size_t i = 0; i < table.size(); ++i)
            if ((*filled)[i] != Buckets::free) table[i] = parts_.pins[(*filled)[i]];
        pins_.line = add(table);
        return {};
    }

    void globs() {
        head_.glob_line = add(parts_.automaton.globs->rows());
        head_.glob_end_line = add(parts_.automaton.globs->ends());
    }

    void lists(std::vector<std::uint32_t>& list) {
        for (std::uint32_t i = 0; i < parts_.set_count(); ++i) {
            const auto& set = parts_.set(i);
            bw_set line{};
            line.first_rule = static_cast<std::uint32_t>(list.size());
            line.rule_count = static_cast<std::uint32_t>(set.rules.size());
            list.insert(list.end(), set.rules.begin(), set.rules.end());
            line.first_entry = static_cast<std::uint32_t>(list.size());
            line.entry_count = static_cast<std::uint32_t>(set.ways.size());
            list.insert(list.end(), set.ways.begin(), set.ways.end());
            sets_.push_back(line);
        }
    }

    // What the ways into others from this domain go by: the rest needs not be read.
    std::uint32_t kinds_from(std::uint32_t domain) const {
        std::uint32_t kinds = 0;
        for (std::size_t i = 0; i < parts_.ways.size(); ++i) {
            if (!(parts_.ways[i].from[domain / 64] >> domain % 64 & 1)) continue;
            for (unsigned kind = 0; kind < BW_PIN_KINDS; ++kind)
                if (parts_.way_pins[i].numbers[kind] != 0) kinds |= 1U << kind;
        }
        return kinds;
    }

    // Domains that say the same about all others share their cells.
    std::vector<bw_domain> domain_lines(std::vector<struct bw_cell>& cells, std::vector<std::uint32_t>& list) const {
        std::map<std::string, std::uint32_t> cell_rows;
        std::map<std::vector<std::uint32_t>, std::uint32_t> set_rows;
        std::vector<bw_domain> domains;
        for (const auto& lines : parts_.domains) {
            auto domain = lines.domain;
            const auto [cell, fresh] = cell_rows.try_emplace(bytes_of(lines.peers.data(), lines.peers.size()),
                                                             static_cast<std::uint32_t>(cells.size()));
            if (fresh) cells.insert(cells.end(), lines.peers.begin(), lines.peers.end());
            const auto [set, first] = set_rows.try_emplace(lines.peer_sets, static_cast<std::uint32_t>(list.size()));
            if (first) list.insert(list.end(), lines.peer_sets.begin(), lines.peer_sets.end());
            domain.peer_cells = cell->second;
            domain.peer_sets = set->second;
            domain.pin_kinds = kinds_from(static_cast<std::uint32_t>(domains.size()));
            domains.push_back(domain);
        }
        return domains;
    }

    const ImageParts& parts_;
    bw_image_head head_{};
    bw_image_tail tail_{};
    bw_image_pins pins_{};
    std::vector<bw_set> sets_;
    std::vector<Line> lines_;
};

}  // namespace

Result<std::vector<Line>> write_image(const ImageParts& parts) { return Writer(parts).run(); }

}  // namespace bpfwarden::policy
