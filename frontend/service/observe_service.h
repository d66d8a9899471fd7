// Translates between the protocol buffers of observe.proto and ObserveControl.
#pragma once

#include "frontend/service/observation.h"
#include "multilibos/v1/observe.grpc.pb.h"

namespace ebb::frontend::service {

/// Called on threads of gRPC's, several at a time.
class ObserveService final : public multilibos::v1::Observe::Service {
 public:
  explicit ObserveService(ObserveControl& control) : control_(control) {}
  grpc::Status ListTraces(grpc::ServerContext*, const multilibos::v1::ListTracesRequest* request,
                          multilibos::v1::ListTracesResponse* response) override;
  grpc::Status GetTrace(grpc::ServerContext*, const multilibos::v1::GetTraceRequest* request,
                        multilibos::v1::GetTraceResponse* response) override;
  grpc::Status ListMethods(grpc::ServerContext*, const multilibos::v1::ListMethodsRequest* request,
                           multilibos::v1::ListMethodsResponse* response) override;
  grpc::Status SetSampling(grpc::ServerContext*, const multilibos::v1::SetSamplingRequest* request,
                           multilibos::v1::SetSamplingResponse* response) override;

 private:
  ObserveControl& control_;
};

}  // namespace ebb::frontend::service
