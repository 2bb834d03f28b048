// SPDX-License-Identifier: Apache-2.0
#include "audit/record.hpp"

namespace bpfwarden::audit {
namespace {

// Takes pieces off the front; every one is checked against what is left.
class Pieces {
  public:
    explicit Pieces(std::span<const std::byte> bytes) : left_(bytes) {}

    bool empty() const { return left_.empty(); }
    template <class Number>
    bool take(Number& number) {
        if (left_.size() < sizeof number) return false;
        std::memcpy(&number, left_.data(), sizeof number);
        left_ = left_.subspan(sizeof number);
        return true;
    }
    bool take(std::string& text, std::size_t size) {
        if (left_.size() < size) return false;
        text.assign(reinterpret_cast<const char*>(left_.data()), size);
        left_ = left_.subspan(size);
        return true;
    }
    bool take_name(std::string& name) {
        std::uint8_t size = 0;
        return take(size) && take(name, size);
    }
    bool take_value(Value& value) {
        std::uint8_t tag = 0;
        if (!take(tag)) return false;
        switch (static_cast<Tag>(tag)) {
            case Tag::text: {
                std::uint16_t size = 0;
                return take(size) && size <= max_text && take(value.emplace<std::string>(), size);
            }
            case Tag::number:
                return take(value.emplace<std::uint64_t>());
            case Tag::negative:
                return take(value.emplace<std::int64_t>()) && std::get<std::int64_t>(value) < 0;
            case Tag::no:
            case Tag::yes:
                value = static_cast<Tag>(tag) == Tag::yes;
                return true;
        }
        return false;
    }

  private:
    std::span<const std::byte> left_;
};

}  // namespace

// Soundness: called with bytes that a compromised worker wrote. No length is used before it was compared with what is
// left, the number of fields is bounded, and the names are held to is_well_formed(), so that a worker cannot forge the
// fields of every line (time, seq) or make two readers see two different values of one name.
std::optional<Event> decode(std::span<const std::byte> record) {
    Event event;
    Pieces pieces(record);
    if (record.size() > max_record || !pieces.take(event.time_ns) || !pieces.take_name(event.kind)) return std::nullopt;
    while (!pieces.empty()) {
        if (event.fields.size() == max_fields) return std::nullopt;
        auto& field = event.fields.emplace_back();
        if (!pieces.take_name(field.name) || !pieces.take_value(field.value)) return std::nullopt;
    }
    if (!is_well_formed(event)) return std::nullopt;
    return event;
}

std::vector<std::byte> encode(const Event& event) {
    std::vector<std::byte> buffer(max_record);
    EventWriter writer(buffer, event.kind, event.time_ns);
    for (const auto& [name, value] : event.fields) {
        if (const auto* text = std::get_if<std::string>(&value))
            writer.text(name, *text);
        else if (const auto* number = std::get_if<std::uint64_t>(&value))
            writer.number(name, *number);
        else if (const auto* negative = std::get_if<std::int64_t>(&value))
            writer.number(name, *negative);
        else
            writer.flag(name, std::get<bool>(value));
    }
    buffer.resize(writer.bytes().size());
    return buffer;
}

}  // namespace bpfwarden::audit
