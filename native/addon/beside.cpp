#include "beside.h"

#include <optional>
#include <string>
#include <system_error>
#include <utility>

namespace medmamba::addon {

Beside::~Beside() {
    if (!lane_) return;
    lane_->queue.stop();
    backend_->stream_destroy(lane_->stream);
}

mm_status Beside::run(const Operation& operation, const std::shared_ptr<Parameters>& parameters, bool beside) {
    if (!beside) {
        const mm_status joined = parameters->connections().empty() ? MM_OK : join();
        return joined == MM_OK ? operation.run(backend_, stream_, parameters->data()) : joined;
    }
    pending_ = true;
    if (backend_->beside_begin) {
        mm_status status = backend_->beside_begin(stream_);
        if (status != MM_OK) return status;
        status = operation.run(backend_, stream_, parameters->data());
        const mm_status ended = backend_->beside_end(stream_);
        return status == MM_OK ? ended : status;
    }
    if (!lane_) open_lane();
    lane_->queue.push(operation.name, [this, operation = &operation, parameters] {
        return operation->run(backend_, lane_->stream, parameters->data());
    });
    return MM_OK;
}

mm_status Beside::join() {
    if (!pending_) return MM_OK;
    pending_ = false;
    if (!lane_) return backend_->beside_join(stream_);
    std::optional<Failure> failed;
    lane_->queue.push_wait("join", [] { return MM_OK; },
                           [&](std::optional<Failure> failure) { failed = std::move(failure); });
    lane_->queue.drain();
    if (failed) throw *std::move(failed);
    return MM_OK;
}

void Beside::open_lane() {
    mm_device_description own{};
    backend_->describe(stream_, &own);
    mm_stream_options options{};
    options.threads = 1;
    options.simd = own.simd;
    const char* why = "no reason was given";
    mm_stream* stream = nullptr;
    const mm_status status = backend_->stream_create(&options, &stream, &why);
    if (status != MM_OK) throw Failure{status, "sum", why};
    try {
        lane_ = std::make_unique<Lane>(backend_, stream);
    } catch (const std::system_error& error) {
        backend_->stream_destroy(stream);
        throw Failure{MM_DEVICE_ERROR, "sum", std::string("the system gave no thread: ") + error.what()};
    }
}

}  // namespace medmamba::addon
