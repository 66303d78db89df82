#include "daemon/reloader.h"

#include <ctime>
#include <utility>

#include <boost/asio/post.hpp>
#include <spdlog/spdlog.h>
#include <systemd/sd-daemon.h>

namespace unroll {
namespace asio = boost::asio;
namespace {

/// systemd needs the start time of a reload to match the end to it.
void notify_reloading() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const auto microseconds = static_cast<unsigned long long>(now.tv_sec) * 1'000'000 +
                            static_cast<unsigned long long>(now.tv_nsec) / 1000;
  ::sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", microseconds);
}

}  // namespace

Reloader::Reloader(asio::io_context& io, Engine& engine, Models& models, Events& events, Load load)
    : io_(io), engine_(engine), models_(models), events_(events), load_(std::move(load)) {}

void Reloader::stop() {
  thread_.stop();
  thread_.join();
}

void Reloader::reload(Done done) {
  asio::post(thread_, [this, done = std::move(done)]() mutable {
    notify_reloading();
    auto error = load_and_swap();
    ::sd_notify(0, "READY=1");
    asio::post(io_, [done = std::move(done), error = std::move(error)] { done(error); });
  });
}

std::optional<Error> Reloader::load_and_swap() {
  try {
    auto models = load_();
    engine_.reload(models.front().load());
    const auto revision = engine_.revision();
    const ModelInfo& info = revision->model->info();
    models_.set(std::move(models), revision);
    spdlog::info("reloaded: new documents are read with model {} ({}, {})", info.name, info.device,
                 info.dtype);
    return std::nullopt;
  } catch (const Error& error) {
    events_.not_reloaded(error);
    return error;
  } catch (const std::exception& error) {
    const Error internal(ErrorCode::kInternal, error.what());
    events_.not_reloaded(internal);
    return internal;
  }
}

}  // namespace unroll
