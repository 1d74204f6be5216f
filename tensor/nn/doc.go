// Package nn builds networks out of layers on package tensor.
//
// A layer holds parameters and statistics and no mode. A forward pass is a pure
// call: everything that differs between training and evaluation stands in the
// Pass, so one network can be evaluated by many goroutines, and attacked in
// evaluation mode while it is being trained.
//
//	rng := rand.New(rand.NewPCG(1, 0))
//	net := nn.NewSequential(
//		nn.NewConv2D(rng, 1, 16, 4, tensor.Same(2, 1)), nn.ReLU,
//		nn.Flatten,
//		nn.NewLinear(rng, 14*14*16, 10).AfterImage(14, 14, 16),
//	)
//	logits := net.Forward(&nn.Pass{}, x) // x is [N, 28, 28, 1]
//
// Gradients are asked for per call: Watch names the parameters to train.
//
//	tape := tensor.NewTape()
//	pass := &nn.Pass{Train: true}
//	params := nn.Params(net)
//	watched := pass.Watch(tape, params)
//	loss := tensor.Mean(tensor.CrossEntropy(net.Forward(pass, x), labels))
//	grads := tensor.Grad(loss, watched...)
//
// Trainer is that loop with batches, augmentation, schedules and checkpoints; its Loss
// is where adversarial training and all other methods of this library come in.
//
// # What there is
//
//   - Layers: Linear, Conv2D, BatchNorm, Normalize, BasicBlock, pooling, Dropout, ReLU and
//     other Plain ones, Sequential, and Function for anything without tensors. A type with
//     Forward and Visit is a Layer.
//   - Networks: NewMLP, NewLeNet5, NewMNISTNet, NewMNISTPoolNet, NewResNet8, NewResNet18.
//   - Classifier makes a network the target of the attacks of package attack.
//
// Networks are made in float32; Convert makes them float64 and back.
//
// # Images and files
//
// Images are [N, H, W, C]. Files hold PyTorch's layouts and names, so that a
// network saved here loads there and the other way round.
package nn
