// SPDX-License-Identifier: Apache-2.0
#include "trust/signers.hpp"

#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "base/text.hpp"

namespace bpfwarden::trust {

namespace {

using Bio = std::unique_ptr<BIO, decltype(&BIO_free_all)>;
Bio bio_of(std::span<const std::byte> bytes) {
    return {BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())), BIO_free_all};
}

// "2031-05-01 00:00:00 UTC"
std::string text_of(const ASN1_TIME* time) {
    std::tm parts{};
    char text[32];
    if (ASN1_TIME_to_tm(time, &parts) != 1 || std::strftime(text, sizeof text, "%F %T UTC", &parts) == 0)
        return "a time that cannot be read";
    return text;
}

// Empty if it may be used to sign programs, whatever the time.
std::string unfit(X509* certificate) {
    // Without the extension there is no restriction (RFC 5280, 4.2.1.3).
    if (const auto usage = X509_get_key_usage(certificate); (usage & KU_DIGITAL_SIGNATURE) == 0)
        return "its keyUsage does not have digitalSignature";
    EVP_PKEY* key = X509_get0_pubkey(certificate);
    if (key == nullptr) return "its public key cannot be read";
    switch (EVP_PKEY_get_base_id(key)) {
        case EVP_PKEY_RSA:
            return EVP_PKEY_get_bits(key) < 2048 ? "its RSA key has less than 2048 bits" : "";
        case EVP_PKEY_EC: {
            char group[64] = {};
            EVP_PKEY_get_group_name(key, group, sizeof group, nullptr);
            const std::string_view name = group;
            return name == "prime256v1" || name == "secp384r1" ? "" : "its EC key is on neither P-256 nor P-384";
        }
        default:
            return "its key is neither RSA nor EC";
    }
}

// In the order of how near a signature came to being one.
enum class Nearness { malformed, unknown_signer, weak, wrong, out_of_time };

std::string name_of(const ASN1_OBJECT* object) {
    char text[80];
    OBJ_obj2txt(text, sizeof text, object, 0);
    return text;
}

}  // namespace

struct Signers::Attempt {
    std::vector<std::string> signers;
    Nearness nearness = Nearness::malformed;
    std::string why_not;

    void refuse(Nearness how_near, std::string why) {
        if (!why_not.empty() && how_near <= nearness) return;
        nearness = how_near;
        why_not = std::move(why);
    }
};

void Signers::Free::operator()(x509_st* certificate) const { X509_free(certificate); }

Result<Signers> Signers::read(const SignerTexts& texts) {
    Signers signers;
    for (const auto& [name, text] : texts) {
        const auto bad = [&, &signer = name](std::string why) {
            ERR_clear_error();
            return fail(Error(Code::bad_input, "the key of the signer " + quoted(signer) + " cannot be used")
                            .because(std::move(why))
                            .advise("its file holds X.509 certificates in PEM"));
        };
        const auto from = bio_of(std::as_bytes(std::span(text)));
        std::size_t count = 0;
        while (auto* read = PEM_read_bio_X509(from.get(), nullptr, nullptr, nullptr)) {
            Certificate one{name, std::unique_ptr<x509_st, Free>(read)};
            if (auto why = unfit(read); !why.empty()) return bad(std::move(why));
            signers.certificates_.push_back(std::move(one));
            ++count;
        }
        if (count == 0) return bad("it has no certificate");
        // The end of the text is told as an error too.
        if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) return bad("a certificate in it is broken");
        ERR_clear_error();
    }
    return signers;
}

namespace {

// Whether what is in the attributes of a signature is about plain data, as it must be where there are any.
bool is_about_data(CMS_SignerInfo* info) {
    const auto* type = static_cast<const ASN1_OBJECT*>(
        CMS_signed_get0_data_by_OBJ(info, OBJ_nid2obj(NID_pkcs9_contentType), -3, V_ASN1_OBJECT));
    return type != nullptr && OBJ_obj2nid(type) == NID_pkcs7_data;
}

bool is_strong(int digest) { return digest == NID_sha256 || digest == NID_sha384 || digest == NID_sha512; }

}  // namespace

Signers::Attempt Signers::attempt(std::span<const std::byte> content, std::span<const std::byte> signature) const {
    Attempt out;
    const auto malformed = [&](std::string why) {
        out.refuse(Nearness::malformed, std::move(why));
        return std::move(out);
    };
    if (signature.size() > largest_signature) return malformed("the signature is longer than 16 KiB");
    const auto* at = reinterpret_cast<const unsigned char*>(signature.data());
    const auto* end = at + signature.size();
    const std::unique_ptr<CMS_ContentInfo, decltype(&CMS_ContentInfo_free)> cms(
        d2i_CMS_ContentInfo(nullptr, &at, static_cast<long>(signature.size())), CMS_ContentInfo_free);
    if (!cms) return malformed("the signature is no CMS in DER");
    if (at != end) return malformed("there is something behind the signature");
    if (OBJ_obj2nid(CMS_get0_type(cms.get())) != NID_pkcs7_signed)
        return malformed("the signature is no signature but " + name_of(CMS_get0_type(cms.get())));
    if (OBJ_obj2nid(CMS_get0_eContentType(cms.get())) != NID_pkcs7_data)
        return malformed("the signature is over " + name_of(CMS_get0_eContentType(cms.get())) + ", not over data");
    if (CMS_is_detached(cms.get()) != 1) return malformed("the signature has content of its own: make it detached");
    auto* infos = CMS_get0_SignerInfos(cms.get());
    constexpr int most_infos = 8;
    const int count = infos == nullptr ? 0 : sk_CMS_SignerInfo_num(infos);
    if (count == 0) return malformed("the signature is by nobody");
    if (count > most_infos) return malformed("the signature is by more than 8");

    // What the digests are taken by, while it is read.
    const auto from = bio_of(content);
    BIO* chain = CMS_dataInit(cms.get(), from.get());
    if (chain == nullptr) return malformed("a digest of the signature is not known");
    // CMS_dataInit() puts its own before `from`, which stays ours.
    const auto release = [&](BIO* one) {
        while (one != from.get()) {
            BIO* next = BIO_pop(one);
            BIO_free(one);
            one = next;
        }
    };
    const std::unique_ptr<BIO, decltype(release)> held(chain, release);
    char buffer[16 * 1024];
    while (BIO_read(chain, buffer, sizeof buffer) > 0) continue;

    for (int i = 0; i < count; ++i) {
        auto* info = sk_CMS_SignerInfo_value(infos, i);
        X509_ALGOR* digest = nullptr;
        CMS_SignerInfo_get0_algs(info, nullptr, nullptr, &digest, nullptr);
        bool known = false;
        for (const auto& [name, certificate] : certificates_) {
            if (CMS_SignerInfo_cert_cmp(info, certificate.get()) != 0) continue;
            known = true;
            if (!is_strong(OBJ_obj2nid(digest->algorithm))) {
                out.refuse(Nearness::weak, "the signature by " + quoted(name) + " is over a weak digest, " +
                                               name_of(digest->algorithm) + ": SHA-256, SHA-384 and SHA-512 are taken");
                continue;
            }
            if (CMS_SignerInfo_set1_signer_cert(info, certificate.get()); CMS_signed_get_attr_count(info) >= 0) {
                if (!is_about_data(info) || CMS_SignerInfo_verify(info) != 1) {
                    out.refuse(Nearness::unknown_signer, "the signature is not by the key of " + quoted(name));
                    continue;
                }
                if (CMS_SignerInfo_verify_content(info, chain) != 1) {
                    out.refuse(Nearness::wrong, "the signature by " + quoted(name) + " is over another program");
                    continue;
                }
            } else if (CMS_SignerInfo_verify_content(info, chain) != 1) {
                // Without attributes there is nothing that the two could be told apart by.
                out.refuse(Nearness::wrong,
                           "the signature is over another program, or not by the key of " + quoted(name));
                continue;
            }
            // By this machine's clock: the time in a signature is its maker's word.
            if (X509_cmp_current_time(X509_get0_notBefore(certificate.get())) > 0)
                out.refuse(Nearness::out_of_time, "the certificate of " + quoted(name) + " is not valid before " +
                                                      text_of(X509_get0_notBefore(certificate.get())));
            else if (X509_cmp_current_time(X509_get0_notAfter(certificate.get())) < 0)
                out.refuse(Nearness::out_of_time, "the certificate of " + quoted(name) + " expired on " +
                                                      text_of(X509_get0_notAfter(certificate.get())));
            else
                out.signers.push_back(name);
        }
        if (!known) out.refuse(Nearness::unknown_signer, "the signature is by nobody whose key is installed");
    }
    return out;
}

Verified Signers::verify(std::span<const std::byte> content,
                         std::span<const std::span<const std::byte>> signatures) const {
    Attempt all;
    for (const auto& signature : signatures) {
        auto one = attempt(content, signature);
        ERR_clear_error();
        all.signers.insert(all.signers.end(), one.signers.begin(), one.signers.end());
        if (!one.why_not.empty()) all.refuse(one.nearness, std::move(one.why_not));
    }
    std::ranges::sort(all.signers);
    const auto repeated = std::ranges::unique(all.signers);
    all.signers.erase(repeated.begin(), repeated.end());
    return {std::move(all.signers), std::move(all.why_not)};
}

Verified Signers::verify(std::span<const std::byte> content, std::span<const std::byte> signature) const {
    return verify(content, std::span(&signature, 1));
}

}  // namespace bpfwarden::trust
