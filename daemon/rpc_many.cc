// document.open_many: many texts in one request, each a document.
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "daemon/open_document.h"
#include "daemon/read_params.h"
#include "daemon/refusals.h"
#include "daemon/rpc_session.h"

namespace unroll {

using nlohmann::json;

namespace {

constexpr std::size_t kMostTexts = 1000;

std::vector<std::string> read_texts(const Params& params) {
  constexpr auto kForm = "a list of 1 to 1000 texts";
  const json* list = params.find("texts");
  if (list == nullptr || !list->is_array() || list->empty() || list->size() > kMostTexts)
    params.refuse("texts", kForm);
  std::vector<std::string> texts;
  for (const json& text : *list) {
    if (!text.is_string()) params.refuse("texts", kForm);
    texts.push_back(text.get<std::string>());
  }
  return texts;
}

json refusal_of(const std::exception_ptr& failure, Events& events, std::uint32_t owner) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    count_refusal(events, error, owner);
    return error_to_json(error);
  } catch (const std::exception& error) {
    return error_to_json({ErrorCode::kInternal, error.what()});
  }
}

}  // namespace

/// Answers when each is open or refused. Later requests of the connection wait until then.
std::optional<json> RpcSession::open_many(const Request& request) {
  const Params params(method::kOpenMany, request.params,
                      {"texts", "plugins", "model", "name", "priority", "deadline_ms", "keep_outputs"});
  const auto document = read_request(params, owner_);
  const auto model = params.optional_string("model").value_or("");
  auto texts = read_texts(params);
  check_documents(texts.size());

  struct Text {
    std::shared_ptr<Subscription> subscription;
    std::exception_ptr failure;
    Opened opened;
  };
  const auto all = std::make_shared<std::vector<Text>>(texts.size());
  const auto left = std::make_shared<std::size_t>(texts.size());
  answering_ = true;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    auto one = document;
    one.total_bytes = texts[i].size();
    one.text = std::move(texts[i]);
    const auto subscription = std::make_shared<Subscription>(
        context_.surroundings(), std::static_pointer_cast<RpcSession>(shared_from_this()), owner(), queued_);
    (*all)[i].subscription = subscription;
    open_document(context_, model, std::move(one), subscription,
                  [this, self = shared_from_this(), asked = without_params(request), all, left, i](
                      const std::exception_ptr& failure, const Opened& opened) {
                    (*all)[i].failure = failure;
                    (*all)[i].opened = opened;
                    if (--*left > 0) return;
                    answer_later(asked, [&]() -> std::optional<json> {
                      json documents = json::array();
                      for (const auto& text : *all) {
                        documents.push_back(
                            text.failure ? json{{"error", refusal_of(text.failure, context_.events, owner())}}
                                         : *adopt(asked, text.opened, text.subscription, true, false, {}));
                      }
                      return json{{"documents", std::move(documents)}};
                    });
                  });
  }
  return std::nullopt;
}

}  // namespace unroll
