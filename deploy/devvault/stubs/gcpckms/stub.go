// Package gcpckms is a stand-in: this build has no cloud KMS seals.
package gcpckms

import (
	"context"
	"errors"

	wrapping "github.com/openbao/go-kms-wrapping/v2"
)

var errStub = errors.New("gcpckms: not in this build")

// The names of settings that OpenBao refers to.
const (
	KmsConfigKeyId              = "key_id"
	KmsConfigCryptoEndpoint     = "crypto_endpoint"
	KmsConfigManagementEndpoint = "management_endpoint"
)

// Wrapper answers every call with an error.
type Wrapper struct{}

// NewWrapper returns a Wrapper.
func NewWrapper() *Wrapper { return &Wrapper{} }

// OptionFunc is the type of the real package's options.
type OptionFunc func() error

// WithLogger is ignored.
func WithLogger(any) wrapping.Option {
	return func() any { return OptionFunc(func() error { return nil }) }
}

// Type fails.
func (*Wrapper) Type(context.Context) (wrapping.WrapperType, error) { return "", errStub }

// KeyId fails.
func (*Wrapper) KeyId(context.Context) (string, error) { return "", errStub }

// SetConfig fails.
func (*Wrapper) SetConfig(context.Context, ...wrapping.Option) (*wrapping.WrapperConfig, error) {
	return nil, errStub
}

// Encrypt fails.
func (*Wrapper) Encrypt(context.Context, []byte, ...wrapping.Option) (*wrapping.BlobInfo, error) {
	return nil, errStub
}

// Decrypt fails.
func (*Wrapper) Decrypt(context.Context, *wrapping.BlobInfo, ...wrapping.Option) ([]byte, error) {
	return nil, errStub
}
