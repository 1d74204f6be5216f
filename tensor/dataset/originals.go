package dataset

import "slices"

// Remote is a file to be downloaded.
type Remote struct {
	// Name is the file's name in the folder of its data set.
	Name string
	// URLs are places that serve the same file; they are tried in order.
	URLs []string
	// SHA256 and MD5 are the file's checksums in hexadecimal. Each is checked
	// if it is not empty. A file with neither must come from an https URL.
	SHA256, MD5 string
	// Bytes is the file's size; 0 means unknown.
	Bytes int64
}

// Originals returns the files that the authors of a data set published, for
// the sets that have such files: mnist, fashion, cifar10, svhn and usps. For
// other names it returns nil.
//
// The checksums of MNIST and Fashion-MNIST are those of the files as published
// in 1998 and 2017; those of SVHN are the ones that torchvision and other
// loaders check; that of CIFAR-10 is printed on its page. None is published
// for USPS.
func Originals(name string) []Remote {
	src, err := findSource(name)
	if err != nil {
		return nil
	}
	files := slices.Clone(originals[src.name])
	for i := range files {
		files[i].URLs = slices.Clone(files[i].URLs)
	}
	return files
}

var originals = map[string][]Remote{
	"mnist": {
		mnistOriginal("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873", 9912422),
		mnistOriginal("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432", 28881),
		mnistOriginal("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3", 1648877),
		mnistOriginal("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c", 4542),
	},
	"fashion": {
		fashionOriginal("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d", "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84", 26421880),
		fashionOriginal("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe", "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845", 29515),
		fashionOriginal("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79", "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073", 4422102),
		fashionOriginal("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310", "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5", 5148),
	},
	"cifar10": {{
		Name: "cifar-10-binary.tar.gz",
		URLs: []string{"https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"},
		MD5:  "c32a1d4ab5d03f1284b67883e8d87530",
	}},
	"svhn": {
		svhnOriginal("train_32x32.mat", "e26dedcc434d2e4c54c9b2d4a06d8373", 182040794),
		svhnOriginal("test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3", 64275384),
	},
	"usps": {uspsOriginal("zip.train.gz"), uspsOriginal("zip.test.gz")},
}

func mnistOriginal(name, md5 string, size int64) Remote {
	return Remote{
		Name: name, SHA256: mnistSHA256[name], MD5: md5, Bytes: size,
		URLs: []string{
			"https://ossci-datasets.s3.amazonaws.com/mnist/" + name,
			"https://storage.googleapis.com/cvdf-datasets/mnist/" + name,
		},
	}
}

func fashionOriginal(name, md5, sha256 string, size int64) Remote {
	return Remote{
		Name: name, SHA256: sha256, MD5: md5, Bytes: size,
		URLs: []string{
			"https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/" + name,
			"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/" + name,
		},
	}
}

func svhnOriginal(name, md5 string, size int64) Remote {
	return Remote{
		Name: name, MD5: md5, Bytes: size,
		URLs: []string{
			"https://ufldl.stanford.edu/housenumbers/" + name,
			"http://ufldl.stanford.edu/housenumbers/" + name,
		},
	}
}

func uspsOriginal(name string) Remote {
	return Remote{
		Name: name,
		URLs: []string{
			"https://hastie.su.domains/ElemStatLearn/datasets/" + name,
			"https://web.stanford.edu/~hastie/ElemStatLearn/datasets/" + name,
		},
	}
}
