// Package onnx reads classifiers from ONNX files into the native engine, so that
// white-box attacks and adversarial training work on them as on any other
// network.
//
//	m, err := onnx.Open("model.onnx")
//	...
//	model := nn.Classifier{Net: m}
//	result, err := pgd.Run(ctx, model, x, y)
//
// # What is read
//
// Files of operator sets 7 to 21 with one floating-point input, whose first axis
// is that of the images; the batch size that a file may fix does not matter.
// Everything that can be known before the first image is checked and worked out
// while reading: an operator that is not supported, shapes that do not fit, or a
// broken file is an error that names the node or the tensor. Subgraphs, functions
// and sparse tensors are refused. Open also reads data of tensors that lies in files
// beside the model's.
//
// # Layout
//
// Images are [N, H, W, C], as everywhere in redoubt, though the file's are
// [N, C, H, W]: axes are translated while reading. Where a file flattens images
// before a dense layer, the rows of that layer's weights are rearranged instead
// of the images. A four-axis input that the file itself first transposes from
// [N, H, W, C] is taken as it is.
//
// # Parameters
//
// The weights of Conv, Gemm, MatMul and normalisation nodes are parameters,
// and so are the initializers of Add, Mul and PRelu nodes behind them; constants
// before all weights, such as the mean and deviation of pixels, are not. They
// have the file's names, so nn.Save writes them as PyTorch would. A tensor that
// reaches its layer through an Identity node is a parameter of its own. The
// model computes in float32, or in float64 if the file's input is DOUBLE;
// constants of other floating-point types are converted.
package onnx
